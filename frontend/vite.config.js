// One module that Home Assistant's frontend loads; its name says nothing of its content.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    rolldownOptions: {
      input: "src/dc-meter.ts",
      output: {
        entryFileNames: "dc-meter.js",
        codeSplitting: false,
        // Lit's licence asks for its notice to stay.
        comments: { legal: true },
      },
    },
    outDir: "../custom_components/dc_meter/frontend",
    // The folder also holds the Python that hands the module out.
    emptyOutDir: false,
    copyPublicDir: false,
    modulePreload: false,
    // Home Assistant's own modern build asks for no older browsers.
    target: "es2022",
  },
});
