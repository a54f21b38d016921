// What Home Assistant's frontend loads: it defines our elements and tells the card picker of them.
import type { Hass } from "./home-assistant";
import "./dashboard";
import "./meter-card";
import { DOMAIN } from "./server";

interface CustomCard {
  type: string;
  name: string;
  description: string;
  preview: boolean;
  documentationURL: string;
  getEntitySuggestion(hass: Hass, entityId: string): object | null;
}

const page = window as unknown as { customCards?: CustomCard[] };

(page.customCards ??= []).push({
  type: "dc-meter-card",
  name: "DC Charging Meter",
  description: "Live power, cost and receipts of a charging meter, with start and stop",
  preview: true,
  documentationURL: "https://github.com/dc-meter/dc-meter/blob/main/docs/dashboards.md#the-card",
  getEntitySuggestion({ entities }, entityId) {
    const entity = entities[entityId];
    return entity?.platform === DOMAIN && entity.device_id
      ? { config: { type: "custom:dc-meter-card", device_id: entity.device_id } }
      : null;
  },
});
