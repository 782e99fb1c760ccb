/** The radar image on the map: an index plane and a colour table, joined on the graphics card.
 *
 * Opacity, colours and threshold are a table of 256 colours, so changing them neither decodes nor uploads an image.
 */

import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapView } from "maplibre-gl";
import { mercator } from "../model/geo.ts";
import type { Plane } from "../images/png.ts";
import type { Corners } from "../model/types.ts";

const VERTEX = `#version 300 es
in vec4 position;
in vec2 place;
out vec2 uv;
void main() {
  uv = place;
  gl_Position = position;
}`;

// Where an image is drawn smaller than it is, four samples of a pixel are averaged: colours, never indices.
const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D plane;
uniform sampler2D table;
uniform float opacity;
in vec2 uv;
out vec4 colour;
vec4 at(vec2 place) {
  float index = texture(plane, place).r * 255.0;
  vec4 found = texelFetch(table, ivec2(int(index + 0.5), 0), 0);
  return vec4(found.rgb * found.a, found.a);
}
void main() {
  vec2 across = dFdx(uv) * 0.25;
  vec2 down = dFdy(uv) * 0.25;
  vec2 texels = vec2(textureSize(plane, 0));
  if (length(across * texels) + length(down * texels) < 0.3) {
    colour = at(uv) * opacity;
  } else {
    colour = (at(uv - across - down) + at(uv + across - down) + at(uv - across + down) + at(uv + across + down))
      * 0.25 * opacity;
  }
}`;

/** North-west, north-east, south-west, south-east, as a triangle strip. */
const PLACES = [0, 0, 1, 0, 0, 1, 1, 1];

interface Picture {
  plane: Plane;
  corners: Corners;
}

interface Drawing {
  gl: WebGL2RenderingContext;
  program: WebGLProgram;
  vertices: WebGLBuffer;
  array: WebGLVertexArrayObject;
  plane: WebGLTexture;
  table: WebGLTexture;
  opacity: WebGLUniformLocation | null;
}

/** A MapLibre layer that draws one index plane through a colour table. */
export class RadarLayer implements CustomLayerInterface {
  readonly id = "radar";
  readonly type = "custom";
  readonly renderingMode = "2d";
  #map: MapView | undefined;
  #drawing: Drawing | undefined;
  #picture: Picture | null = null;
  #table = new Uint8Array(256 * 4);
  #opacity = 1;
  #drawn: (() => void) | null;
  #uploaded: { plane: Plane | null; table: Uint8Array | null } = { plane: null, table: null };

  /** `drawn` is called once, with the first image. */
  constructor(drawn: () => void) {
    this.#drawn = drawn;
  }

  /** Show a plane between its corners; null shows none. */
  show(picture: Picture | null): void {
    this.#picture = picture;
    this.#map?.triggerRepaint();
  }

  /** Colour indices by 256 RGBA, not premultiplied. */
  colour(table: Uint8Array<ArrayBuffer>, opacity: number): void {
    this.#table = table;
    this.#opacity = opacity;
    this.#map?.triggerRepaint();
  }

  onAdd(map: MapView, context: WebGLRenderingContext | WebGL2RenderingContext): void {
    const gl = context as WebGL2RenderingContext;
    this.#map = map;
    this.#uploaded = { plane: null, table: null };
    const program = link(gl);
    const array = gl.createVertexArray();
    const vertices = gl.createBuffer();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
    for (const [name, size, offset] of [["position", 4, 0], ["place", 2, 16]] as const) {
      const attribute = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(attribute);
      gl.vertexAttribPointer(attribute, size, gl.FLOAT, false, 24, offset);
    }
    gl.bindVertexArray(null);
    this.#drawing = {
      gl, program, vertices, array,
      plane: nearest(gl), table: nearest(gl),
      opacity: gl.getUniformLocation(program, "opacity"),
    };
  }

  onRemove(): void {
    if (!this.#drawing) return;
    const { gl, program, vertices, array, plane, table } = this.#drawing;
    gl.deleteProgram(program);
    gl.deleteBuffer(vertices);
    gl.deleteVertexArray(array);
    gl.deleteTexture(plane);
    gl.deleteTexture(table);
    this.#drawing = undefined;
  }

  render(_: WebGLRenderingContext | WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    if (!this.#drawing || !this.#picture) return;
    const { gl, program, array, vertices, opacity } = this.#drawing;
    this.#upload(this.#drawing, this.#picture.plane);
    gl.useProgram(program);
    gl.uniform1i(gl.getUniformLocation(program, "plane"), 0);
    gl.uniform1i(gl.getUniformLocation(program, "table"), 1);
    gl.uniform1f(opacity, this.#opacity);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
    for (const turn of [-1, 0, 1]) {
      const corners = clip(this.#picture.corners, turn, input.defaultProjectionData.mainMatrix);
      gl.bufferData(gl.ARRAY_BUFFER, corners, gl.DYNAMIC_DRAW);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    gl.bindVertexArray(null);
    gl.activeTexture(gl.TEXTURE0);
    this.#drawn?.();
    this.#drawn = null;
  }

  #upload({ gl, plane, table }: Drawing, wanted: Plane): void {
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, table);
    if (this.#uploaded.table !== this.#table) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, this.#table);
    }
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, plane);
    if (this.#uploaded.plane !== wanted) {
      const { width, height, indices } = wanted;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, width, height, 0, gl.RED, gl.UNSIGNED_BYTE, indices);
    }
    this.#uploaded = { plane: wanted, table: this.#table };
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
  }
}

/** The corners in clip space, computed here in doubles: floats would shake when the map is near. */
function clip(corners: Corners, turn: number, matrix: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const data = new Float32Array(24);
  const order = [corners.nw, corners.ne, corners.sw, corners.se];
  order.forEach((corner, at) => {
    const [x, y] = mercator(corner);
    for (let row = 0; row < 4; row++) {
      data[at * 6 + row] = matrix[row]! * (x + turn) + matrix[4 + row]! * y + matrix[12 + row]!;
    }
    data.set(PLACES.slice(at * 2, at * 2 + 2), at * 6 + 4);
  });
  return data;
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`the radar layer cannot be drawn: ${gl.getProgramInfoLog(program) ?? ""}`);
  }
  return program;
}

function nearest(gl: WebGL2RenderingContext): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  return texture;
}
