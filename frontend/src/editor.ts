// The card's settings, and how Home Assistant's own form asks for them.
import type { Localize } from "./home-assistant";
import { DOMAIN } from "./server";

export interface Config {
  type: string;
  device_id?: string;
  name?: string;
  ask_user?: boolean;
  ask_tariff?: boolean;
  receipts?: number;
}

export const RECEIPTS = 3;
const MOST_RECEIPTS = 20;

interface Field {
  name: string;
}

const text = (word: string, localize: Localize): string | undefined =>
  localize(`component.${DOMAIN}.config_panel.editor.${word}`) || undefined;

export const configForm = () => ({
  schema: [
    {
      name: "device_id",
      required: true,
      selector: { device: { integration: DOMAIN } },
    },
    { name: "name", selector: { text: {} } },
    { name: "ask_user", selector: { boolean: {} } },
    { name: "ask_tariff", selector: { boolean: {} } },
    {
      name: "receipts",
      default: RECEIPTS,
      selector: { number: { min: 0, max: MOST_RECEIPTS, mode: "box" } },
    },
  ],
  // The card in the preview has loaded the words by then.
  computeLabel: ({ name }: Field, localize: Localize) => text(name, localize),
  computeHelper: ({ name }: Field, localize: Localize) => text(`${name}_helper`, localize),
});

/** Raise what is wrong with settings written by hand. */
export function checkConfig(config: Config): void {
  const { device_id, receipts } = config;
  if (device_id !== undefined && typeof device_id !== "string") {
    throw new Error("device_id must be the id of a device");
  }
  if (
    receipts !== undefined &&
    !(Number.isInteger(receipts) && receipts >= 0 && receipts <= MOST_RECEIPTS)
  ) {
    throw new Error(`receipts must be a whole number from 0 to ${MOST_RECEIPTS}`);
  }
}
