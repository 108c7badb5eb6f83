/** The card of a pipeline input that is data: its name and where it lies. */

import type { NodeProps } from "@xyflow/react";
import { memo } from "react";

import { inputNodeId } from "../editing/linkRules";
import type { InputCard as Card } from "./flowNodes";
import { PortHandle } from "./PortHandle";

export const InputCard = memo(function InputCard({ data, selected }: NodeProps<Card>) {
  const { input } = data;
  const port = { name: input.name, type: input.type, directory_type: null, optional: false, description: input.description };
  return (
    <div className="input-card" data-selected={selected}>
      <div className="card-name cut">{input.name}</div>
      <div className="card-component cut" title={input.path ?? ""}>
        {input.path ?? input.type}
      </div>
      <PortHandle
        end={{ node: inputNodeId(input.name), port: input.name, side: "output" }}
        port={port}
        isBound={false}
        hasFault={false}
      />
    </div>
  );
});
