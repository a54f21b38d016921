// The dashboard of all meters, made anew from the registries whenever they change.
import type en from "../../custom_components/dc_meter/translations/en.json";
import { type Hass, reasonOf } from "./home-assistant";
import { DOMAIN, type Meter, getMeters } from "./server";

const STRATEGY = "dc-meter";
const ICON = "mdi:ev-station";

type Part = Record<string, unknown>;
type CardOf = (meter: Meter, receipts: number) => Part;
type Say = (word: keyof (typeof en)["config_panel"]["dashboard"]) => string;

/** Fetch the dashboard's words: unlike a card, it is not made again when they have come. */
async function fetchWords(hass: Hass): Promise<Say> {
  const { resources } = await hass.callWS<{ resources: Record<string, string> }>({
    type: "frontend/get_translations",
    language: hass.language,
    category: "config_panel",
    integration: DOMAIN,
  });
  return (word) => resources[`component.${DOMAIN}.config_panel.dashboard.${word}`] ?? "";
}

class DashboardStrategy extends HTMLElement {
  static readonly noEditor = true;
  static readonly registryDependencies = ["devices", "entities"];

  static async getCreateSuggestions(hass: Hass): Promise<Part> {
    return { title: (await fetchWords(hass))("title"), icon: ICON };
  }

  static async generate(config: { card?: Part }, hass: Hass): Promise<Part> {
    const say = await fetchWords(hass);
    let meters: Meter[];
    try {
      meters = await getMeters(hass);
    } catch (error) {
      throw new Error(await reasonOf(hass, error));
    }
    const card = cardOf(config.card);
    const views = meters.map((meter) => view(meter, hass, say, card));
    if (views.length === 1) return { views };
    return { views: [meters.length ? overview(meters, hass, say, card) : nothing(hass, say), ...views] };
  }
}

/** Say that there is no meter, and where one is added. */
const nothing = (hass: Hass, say: Say): Part =>
  sections(say("title"), "overview", [
    hass.user?.is_admin
      ? grid(
          wide({ type: "markdown", content: say("empty") }),
          {
            type: "button",
            name: say("add"),
            icon: "mdi:plus",
            grid_options: { columns: 12, rows: 2 },
            tap_action: {
              action: "navigate",
              navigation_path: `/config/integrations/dashboard/add?domain=${DOMAIN}`,
            },
          },
        )
      : grid(wide({ type: "markdown", content: say("no_access") })),
  ]);

/** Show all meters side by side, and what went through them. */
function overview(meters: Meter[], hass: Hass, say: Say, card: CardOf): Part {
  const counts = meters.flatMap((meter) =>
    visible(meter, hass)
      .filter(({ key }) => key === "energy_import")
      .map(({ entity }) => ({ entity, name: meter.name })),
  );
  return sections(say("title"), "overview", [
    ...meters.map((meter) => grid(card(meter, 3))),
    ...energy(counts, say).map((part) => ({ ...part, column_span: 2 })),
  ]);
}

/** The entities of a meter that are there and not hidden. */
const visible = (meter: Meter, { entities }: Hass) =>
  Object.entries(meter.entities).flatMap(([key, entity]) => {
    const entry = entity && entities[entity];
    return entry && !entry.hidden ? [{ key, entity, category: entry.entity_category }] : [];
  });

/** Show everything of one meter. */
function view(meter: Meter, hass: Hass, say: Say, card: CardOf): Part {
  const seen = visible(meter, hass);
  const of = (...keys: string[]) =>
    keys.flatMap((wanted) => seen.filter(({ key }) => key === wanted));
  const rows = (parts: { entity: string }[]) =>
    parts.map(({ entity }) => ({ entity, name: { type: "entity" } }));
  const power = of("power");
  // Where nothing was ever given back, there is nothing to draw.
  const counts = of("energy_import", "energy_export").filter(
    ({ key, entity }) => key === "energy_import" || Number(hass.states[entity]?.state),
  );
  // A key is too long for a row; it is compared on the device's page.
  const about = seen.filter(({ key, category }) => category && key !== "public_key");
  return sections(meter.name, meter.serial_number, [
    grid(card(meter, 5)),
    ...section(heading(say("now"), "mdi:gauge"), [
      ...rows(of("voltage", "current", "energy_import", "energy_export")).map((row) => ({
        type: "tile",
        ...row,
      })),
      ...listing({ type: "history-graph", hours_to_show: 3, entities: rows(power) }),
    ]),
    ...energy(rows(counts), say),
    ...section(
      heading(
        say("about"),
        "mdi:information-outline",
        `/config/devices/device/${meter.device_id}`,
      ),
      listing({ type: "entities", entities: rows(about) }),
    ),
  ]);
}

/** Make cards that have the options the dashboard was given for them. */
const cardOf =
  (options: Part = {}): CardOf =>
  (meter, receipts) =>
    wide({ type: "custom:dc-meter-card", receipts, ...options, device_id: meter.device_id });

const energy = (entities: Part[], say: Say): Part[] =>
  section(
    heading(say("energy"), "mdi:lightning-bolt"),
    [
      { title: say("per_day"), period: "day", days_to_show: 30 },
      { title: say("per_month"), period: "month", days_to_show: 365 },
    ].flatMap((time) =>
      listing({
        type: "statistics-graph",
        chart_type: "bar",
        stat_types: ["change"],
        hide_legend: entities.length < 2,
        entities,
        ...time,
      }),
    ),
  );

const grid = (...cards: Part[]): Part => ({ type: "grid", cards });

/** Put cards under a heading, if there are any. */
const section = (head: Part, cards: Part[]): Part[] =>
  cards.length ? [grid(head, ...cards)] : [];

/** A card that lists entities; without one it would be shown as an error. */
const listing = (part: Part & { entities: Part[] }): Part[] =>
  part.entities.length ? [wide(part)] : [];

/** Give a card the width of a section; a section that spans two has two of them in a row. */
const wide = (part: Part): Part => ({ grid_options: { columns: 12 }, ...part });

const heading = (text: string, icon: string, destination?: string): Part => ({
  type: "heading",
  heading: text,
  icon,
  ...(destination && {
    tap_action: { action: "navigate", navigation_path: destination },
  }),
});

const sections = (title: string, path: string, grids: Part[]): Part => ({
  type: "sections",
  title,
  path,
  max_columns: 4,
  sections: grids,
});

customElements.define(`ll-strategy-dashboard-${STRATEGY}`, DashboardStrategy);

interface Strategies extends Window {
  customStrategies?: Part[];
}

((window as Strategies).customStrategies ??= []).push({
  type: STRATEGY,
  strategyType: "dashboard",
  name: "DC Charging Meter",
  description: "All charging meters: start and stop, live values, energy and receipts",
  documentationURL: "https://github.com/dc-meter/dc-meter#dashboard",
});
