// What all parts of the card look alike in: colours and sizes are the theme's.
import { css } from "lit";

export const styles = css`
  :host {
    --dc-space: var(--ha-space-4, 16px);
    --dc-good: var(--success-color, #43a047);
    --dc-warning: var(--warning-color, #ffa600);
    --dc-bad: var(--error-color, #db4437);
    color: var(--primary-text-color);
    font-size: var(--ha-font-size-m, 14px);
    line-height: var(--ha-line-height-normal, 1.5);
  }
  [hidden] {
    display: none !important;
  }
  .icon {
    inline-size: 24px;
    block-size: 24px;
    fill: currentcolor;
    flex: none;
  }
  .icon.good,
  .icon.warning,
  .icon.bad {
    color: var(--dc-kind);
  }
  .icon.neutral,
  .secondary {
    color: var(--secondary-text-color);
  }
  .numbers {
    font-variant-numeric: tabular-nums;
  }
  button {
    font: inherit;
    color: inherit;
    background: none;
    border: none;
    padding: 0;
    margin: 0;
    cursor: pointer;
    text-align: start;
    -webkit-tap-highlight-color: transparent;
  }
  :focus-visible {
    outline: 2px solid var(--primary-color);
    outline-offset: 2px;
  }
  .pill {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 8px;
    box-sizing: border-box;
    min-block-size: 40px;
    padding: 6px 16px;
    border-radius: var(--ha-border-radius-pill, 9999px);
    font-weight: var(--ha-font-weight-medium, 500);
    --dc-pill: var(--ha-color-on-primary-normal, var(--primary-color));
    /* The theme's own colours are too faint for words on their tints. */
    color: color-mix(in srgb, var(--dc-pill) 60%, var(--primary-text-color));
    background: var(--ha-color-fill-primary-normal-resting, rgba(var(--rgb-primary-color), 0.15));
    transition: background-color 120ms ease-out;
  }
  .pill .icon {
    inline-size: 20px;
    block-size: 20px;
  }
  .pill.danger {
    --dc-pill: var(--ha-color-on-danger-normal, var(--error-color));
    background: var(--ha-color-fill-danger-normal-resting, rgba(var(--rgb-error-color), 0.15));
  }
  .pill.plain {
    background: transparent;
  }
  @media (hover: hover) {
    .pill:not([aria-disabled="true"]):hover {
      background: var(--ha-color-fill-primary-normal-hover, rgba(var(--rgb-primary-color), 0.25));
    }
    .pill.danger:not([aria-disabled="true"]):hover {
      background: var(--ha-color-fill-danger-normal-hover, rgba(var(--rgb-error-color), 0.25));
    }
  }
  .pill[aria-disabled="true"] {
    cursor: default;
    color: var(--ha-color-on-disabled-normal, var(--disabled-text-color));
    background: var(--ha-color-fill-disabled-normal-resting, transparent);
  }
  .good {
    --dc-kind: var(--dc-good);
  }
  .warning {
    --dc-kind: var(--dc-warning);
  }
  .bad {
    --dc-kind: var(--dc-bad);
  }
  .note {
    display: flex;
    gap: 12px;
    align-items: flex-start;
    margin-block-end: 0;
    padding: 12px;
    border-radius: 12px;
    background: color-mix(in srgb, var(--dc-kind, var(--primary-text-color)) 10%, transparent);
    overflow-wrap: anywhere;
  }
  .note .icon {
    inline-size: 20px;
    block-size: 20px;
  }
  .unseen {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (prefers-reduced-motion: reduce) {
    * {
      animation: none !important;
      transition: none !important;
    }
  }
`;
