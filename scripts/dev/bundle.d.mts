import type { BuildOptions } from "esbuild"

/** How a module of `src` is bundled. */
export declare const bundleOptions: (root: string, module: string) => BuildOptions
