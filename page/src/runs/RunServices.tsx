/** What follows runs while the page is open, and its dialogs. */

export function RunServices() {
  return null;
}
