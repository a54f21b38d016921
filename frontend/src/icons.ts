// Material Design icons, drawn as Home Assistant draws them.
import {
  mdiAlert,
  mdiAlertCircle,
  mdiChevronRight,
  mdiClose,
  mdiDownload,
  mdiEvStation,
  mdiHelpCircle,
  mdiPlay,
  mdiShieldAlert,
  mdiShieldCheck,
  mdiShieldOff,
  mdiStop,
} from "@mdi/js";
import { type TemplateResult, html } from "lit";

const PATHS = {
  alert: mdiAlert,
  "alert-circle": mdiAlertCircle,
  "chevron-right": mdiChevronRight,
  close: mdiClose,
  download: mdiDownload,
  "ev-station": mdiEvStation,
  "help-circle": mdiHelpCircle,
  play: mdiPlay,
  "shield-alert": mdiShieldAlert,
  "shield-check": mdiShieldCheck,
  "shield-off": mdiShieldOff,
  stop: mdiStop,
};

export type IconName = keyof typeof PATHS;

/** Draw an icon; words beside it say what it means. */
export const icon = (name: IconName, kind = ""): TemplateResult => html`
  <svg class="icon ${kind}" data-icon=${name} viewBox="0 0 24 24" aria-hidden="true">
    <path d=${PATHS[name]}></path>
  </svg>
`;
