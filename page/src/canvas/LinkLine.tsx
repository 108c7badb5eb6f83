/** A link between two cards, in the color of what it carries. */

import { BaseEdge, getBezierPath, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import type { Link } from "./flowNodes";

export const LinkLine = memo(function LinkLine(props: EdgeProps<Link>) {
  const [path] = getBezierPath(props);
  return <BaseEdge path={path} interactionWidth={12} className={`link hue-${props.data?.hue ?? 0}`} />;
});
