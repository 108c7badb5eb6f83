import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The build has no hashes of paths in it and is the same on every machine: a test compares its bytes with those that
// are committed. The page's policy is `default-src 'self'`, so nothing is inlined as a data address.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../src/pytorch_designer/designer/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    sourcemap: false,
    chunkSizeWarningLimit: 800,
    rollupOptions: {
      output: {
        entryFileNames: "assets/page.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  test: { environment: "node", include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"], testTimeout: 60_000 }, // also on a loaded machine
});
