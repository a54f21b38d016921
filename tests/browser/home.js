// A Home Assistant of one meter that does what a test wants: what it is asked, it refuses or answers.
const TEXTS = /* the texts */ null;

window.asked = []; // Every command and action, in their order.
window.refused = {}; // What is refused and why, by the type of command or action.
window.held = {}; // What is answered only when the test says so.
window.subscriptions = [];

const METER = {
  device_id: "meter",
  name: "Meter",
  model: null,
  serial_number: "1",
  shows_tariff_text: false,
  entities: { transaction: "switch.meter", power: "sensor.power" },
};

window.receipt = (number, changes = {}) => ({
  transaction_id: `transaction ${number}`,
  user: "",
  tariff_text: "",
  ...changes,
  session: {
    meter: "1",
    evse_id: "",
    identification_data: "",
    client_id: "",
    tariff_text: "",
    started_at: "2026-03-05T18:00:00+00:00",
    ended_at: "2026-03-05T19:00:00+00:00",
    meter_started_at: null,
    meter_ended_at: null,
    energy_import_wh: 41874,
    energy_export_wh: 0,
    price_per_kwh: null,
    currency: null,
    cost: null,
    gaps: [],
    warnings: [],
    ...changes.session,
  },
});

window.answers = {
  "frontend/get_translations": () => ({
    resources: new Proxy({}, { get: (_, key) => localize(key) }),
  }),
  "dc_meter/meters": () => [METER],
  "dc_meter/receipts": () => ({ receipts: [receipt(1)], cursor: null }),
};

window.session = (user) => ({
  foreign: false,
  transaction_id: user,
  started_at: "2026-03-05T18:00:00+00:00",
  user,
  energy_import_wh: 0,
  energy_export_wh: 0,
  tariff_text: "",
  price_per_kwh: null,
  currency: null,
  cost: null,
  gaps: [],
  warnings: [],
});

async function answer(type, question) {
  asked.push({ type, ...question });
  if (held[type]) await held[type];
  if (refused[type]) throw refused[type];
  return answers[type]?.(question) ?? {};
}

function localize(key, values = {}) {
  const path = key.replace("component.dc_meter.", "").split(".");
  const text = path.reduce((texts, part) => texts?.[part], TEXTS) ?? "";
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const state = (entity_id, value) => ({
  entity_id,
  state: value,
  last_updated: "2026-03-05T18:00:00+00:00",
  attributes: {},
});

window.hass = {
  states: {
    "switch.meter": state("switch.meter", "off"),
    "sensor.power": state("sensor.power", "0"),
  },
  entities: {},
  devices: { meter: {} },
  user: { is_admin: true },
  connected: true,
  language: "en",
  locale: {
    language: "en",
    number_format: "language",
    time_format: "language",
    date_format: "language",
    time_zone: "server",
  },
  config: { time_zone: "UTC", state: "RUNNING" },
  connection: {
    async subscribeMessage(listener, question, options) {
      const one = { listener, ...question, options, ended: false };
      await answer(question.type, question);
      subscriptions.push(one);
      return async () => void (one.ended = true);
    },
  },
  localize,
  formatEntityState: (entity) => entity.state,
  callWS: ({ type, ...question }) => answer(type, question),
  callService: async (domain, action, data) => ({
    response: await answer(`${domain}.${action}`, data),
  }),
  loadBackendTranslation: async () => localize,
  hassUrl: (path) => path,
};

/** Put a card of this configuration on the page. */
window.putUp = async (config = {}) => {
  window.card = document.createElement("dc-meter-card");
  card.setConfig({ type: "", device_id: "meter", ...config });
  card.hass = hass;
  document.body.append(card);
  await settled();
};

/** Hand a changed Home Assistant to the card. */
window.change = async (changes) => {
  card.hass = window.hass = { ...hass, ...changes };
  await settled();
};

window.turn = (value) =>
  change({ states: { ...hass.states, "switch.meter": state("switch.meter", value) } });

window.reconnect = async () => {
  await change({ connected: false });
  await change({ connected: true });
};

/** Wait until all that was asked and answered at once is on the page. */
window.settled = () => new Promise((resolve) => setTimeout(resolve, 50));
