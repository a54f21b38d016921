// The card's words in the user's language: the integration's translations, which Home Assistant
// loads, and where a language lacks one, its English.
import type en from "../../custom_components/dc_meter/translations/en.json";
import type { Hass } from "./home-assistant";
import { DOMAIN } from "./server";

export type Word = keyof (typeof en)["config_panel"]["card"];

export type Choices = Exclude<keyof (typeof en)["selector"], "stopbits">;

/** What is needed to put anything into words. */
export interface Voice {
  hass: Hass;
  /** Say something of the card's own. */
  say(word: Word, values?: Record<string, string>): string;
  /** Say a value in the words that actions and automations use for it. */
  name(choices: Choices, value: string): string;
}

/** Ask for the words of the user's language; once they are there, Home Assistant says them. */
export function loadWords(hass: Hass): void {
  // What it answers lacks the words when another card has asked for them just before.
  for (const category of ["config_panel", "selector"]) {
    void hass.loadBackendTranslation(category, DOMAIN);
  }
}

export const voiceOf = (hass: Hass): Voice => ({
  hass,
  say: (word, values) => hass.localize(`component.${DOMAIN}.config_panel.card.${word}`, values),
  name: (choices, value) =>
    hass.localize(`component.${DOMAIN}.selector.${choices}.options.${value}`) || value,
});
