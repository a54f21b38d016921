// One module that Home Assistant's frontend loads; its name says nothing of its content.
import { defineConfig } from "vite";

/** Take the indentation out of our templates: in HTML and CSS, as around them, it says nothing. */
const outdent = {
  name: "outdent",
  enforce: "pre",
  transform: (code, id) => (id.includes("/src/") ? code.replace(/\n\s+/g, "\n") : null),
};

export default defineConfig({
  plugins: [outdent],
  build: {
    rolldownOptions: {
      input: "src/dc-meter.ts",
      output: {
        entryFileNames: "dc-meter.js",
        codeSplitting: false,
        comments: false,
        // Lit's licence asks for its notice to stay; once is enough.
        postBanner: "/*! Contains Lit. Copyright 2017 Google LLC. SPDX-License-Identifier: BSD-3-Clause */",
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
