/// <reference types="vite/client" />

declare module "virtual:map-worker" {
  const address: string;
  export default address;
}

declare module "virtual:places" {
  const address: string;
  export default address;
}

declare module "virtual:lakes" {
  const address: string;
  export default address;
}
