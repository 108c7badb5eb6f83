/**
 * The dots behind the cards. They are painted once and moved, by less than one gap: a pattern that is painted anew in
 * each frame costs as much as all cards where there is no GPU.
 */

import { useStore as useFlow } from "@xyflow/react";

const GAP = 20;
const LEAST_PIXELS = 12;

export function Dots() {
  const [x, y, zoom] = useFlow((flow) => flow.transform);
  let gap = GAP * zoom;
  while (gap < LEAST_PIXELS) gap *= 2;
  const rest = (place: number): number => ((place % gap) + gap) % gap;
  const style = {
    inset: -gap,
    backgroundSize: `${gap}px ${gap}px`,
    transform: `translate(${rest(x)}px, ${rest(y)}px)`,
  };
  return <div className="dots" style={style} aria-hidden="true" />;
}
