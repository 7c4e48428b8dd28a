export function showStore(panel) {
  panel.root.append("store");
}
