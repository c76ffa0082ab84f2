import type { BuildOptions } from "esbuild"

/** How the command is bundled. */
export declare const bundleOptions: (root: string) => BuildOptions
