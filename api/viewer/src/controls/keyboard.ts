/** Everything by keys; the list of them is also the help. */

import { byId, h } from "./dom.ts";

export interface Command {
  keys: string[];
  /** As the help shows the keys. */
  shown: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

/** The name of a pressed key, `Shift+ArrowLeft` and so on; letters are told small. */
export function nameOf(event: Pick<KeyboardEvent, "key" | "shiftKey">): string {
  if (event.key.startsWith("Arrow")) return event.shiftKey ? `Shift+${event.key}` : event.key;
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}

/** Whether an element itself makes use of a key. */
function takes(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("dialog[open]")) return true;
  if (key === "Escape") return false;
  if (target.matches("select, textarea, input:not([type=radio], [type=checkbox])")) return true;
  if (target.matches("input")) return key === " " || key.startsWith("Arrow");
  return target.matches("button, a, summary") && (key === " " || key === "Enter");
}

/** Listen for the commands' keys, and fill the help with them. */
export function wireKeyboard(commands: readonly Command[]): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = nameOf(event);
    if (takes(event.target, key)) return;
    const command = commands.find((one) => one.keys.includes(key));
    if (!command) return;
    event.preventDefault();
    command.run(event);
  });
  byId("help-keys").replaceChildren(
    ...commands.flatMap(({ shown, does }) => [h("dt", {}, ...shown.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, does)]),
  );
}
