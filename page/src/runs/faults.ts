/** Faults that a node can be given on demand, as `pytorch-designer run --fault` has them. */

export interface FaultKind {
  name: string;
  title: string;
  description: string;
  /** What is asked for; null: nothing. */
  field: { label: string; initial: string; unit: string } | null;
  /** Whether it names an output port. */
  hasOutput: boolean;
}

export const FAULT_KINDS: readonly FaultKind[] = [
  {
    name: "kill-after",
    title: "Kill after a time",
    description: "All processes get SIGKILL, as when a machine is taken away or memory runs out.",
    field: { label: "Time after the start", initial: "5", unit: "seconds" },
    hasOutput: false,
  },
  {
    name: "kill-at-write",
    title: "Kill at a write",
    description: "All processes get SIGKILL in place of this change below an output.",
    field: { label: "Number of the change, from 1", initial: "1", unit: "" },
    hasOutput: false,
  },
  {
    name: "full-output",
    title: "Full disk",
    description: "The output has room for so many bytes more.",
    field: { label: "Room", initial: "1m", unit: "bytes; k, m and g are understood" },
    hasOutput: true,
  },
  {
    name: "read-only-output",
    title: "Read-only output",
    description: "The output cannot be written.",
    field: null,
    hasOutput: true,
  },
  {
    name: "flaky-open",
    title: "Flaky mount",
    description: "This share of the opens below an input fails, as with a network mount that comes and goes.",
    field: { label: "Share, above 0 and up to 1", initial: "0.1", unit: "" },
    hasOutput: false,
  },
  {
    name: "slow-open",
    title: "Slow mount",
    description: "Each open below an input takes so much longer.",
    field: { label: "Delay", initial: "50", unit: "milliseconds" },
    hasOutput: false,
  },
  {
    name: "small-shm",
    title: "Small shared memory",
    description: "/dev/shm has only so many bytes, as in a container.",
    field: { label: "Size", initial: "64m", unit: "bytes; k, m and g are understood" },
    hasOutput: false,
  },
  {
    name: "no-network",
    title: "No network",
    description: "No network but the loopback interface.",
    field: null,
    hasOutput: false,
  },
];

const SIZE = /^[0-9]+[kmg]?$/i;

/** What is wrong with a value, or null. */
export function faultProblem(kind: FaultKind, value: string): string | null {
  if (!kind.field) return null;
  const text = value.trim();
  const number = Number(text);
  const isNumber = text !== "" && Number.isFinite(number);
  switch (kind.name) {
    case "kill-at-write":
      return /^[0-9]+$/.test(text) && number > 0 ? null : "A whole number, 1 or more.";
    case "flaky-open":
      return isNumber && number > 0 && number <= 1 ? null : "A number above 0 and up to 1.";
    case "full-output":
    case "small-shm":
      return SIZE.test(text) && parseInt(text, 10) > 0 ? null : "A number of bytes, such as 64m.";
    default:
      return isNumber && number > 0 ? null : "A number above 0.";
  }
}

/** The text of a fault, as the command line has it: "full-output=model:1m". */
export function faultText(kind: FaultKind, value: string, output: string): string {
  const text = value.trim();
  if (!kind.field) return kind.hasOutput ? `${kind.name}=${output}` : kind.name;
  return kind.hasOutput ? `${kind.name}=${output}:${text}` : `${kind.name}=${text}`;
}
