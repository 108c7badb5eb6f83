/** Line icons on a grid of 16 pixels; decoration only, the button that holds one has the name. */

const PATHS = {
  add: "M8 3v10M3 8h10",
  arrange: "M2.5 3h4v3.5h-4zM9.5 3h4v3.5h-4zM9.5 9.5h4V13h-4zM6.5 4.7h3M8 4.7v6.5h1.5",
  branch: "M3 4h4c3 0 2 8 6 8M3 12h3",
  check: "M3 8.5l3.2 3.2L13 5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  details: "M2.5 3h11v10h-11zM9.5 3v10",
  document: "M4 2h5l3 3v9H4zM9 2v3h3",
  down: "M4 6l4 4 4-4",
  error: "M8 4.5v4.2M8 11v.3M8 1.8a6.2 6.2 0 110 12.4A6.2 6.2 0 018 1.8z",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  keyboard: "M1.5 4h13v8.5h-13zM4 7h.3M6.6 7h.3M9.2 7h.3M11.8 7h.3M5 10h6",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  minus: "M3 8h10",
  more: "M3.5 8h.4M7.8 8h.4M12.1 8h.4",
  palette: "M2.5 3h11v10h-11zM6.5 3v10",
  redo: "M10.5 3l3 3-3 3M13.2 6H6.5a3.5 3.5 0 000 7H9",
  search: "M7 2.5a4.5 4.5 0 110 9 4.5 4.5 0 010-9zM10.5 10.5L14 14",
  trash: "M2.5 4.5h11M6 4.5V2.5h4v2M4 4.5l.6 9h6.8l.6-9",
  undo: "M5.5 3l-3 3 3 3M2.8 6h6.7a3.5 3.5 0 010 7H7",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
