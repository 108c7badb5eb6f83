/** The page without a document: start with a template in one click, or open what is there. */

import { useState } from "react";

import { Icon } from "../shared/Icon";
import { clockText } from "../runs/wording";
import { plural } from "../shared/words";
import { useStore } from "../state/store";
import { freePath } from "./NewDocument";

export function Welcome() {
  const [starting, setStarting] = useState<string | null>(null);
  const project = useStore((state) => state.project);
  if (project === null) return <main className="welcome" aria-busy="true" aria-label="Designer" />;
  const { open, create, bringBack, report } = useStore.getState();
  const start = async (template: string): Promise<void> => {
    setStarting(template);
    try {
      await create(freePath(template === "empty" ? "pipeline" : template, { project }), template);
    } catch (error) {
      report(error);
    }
    setStarting(null);
  };
  return (
    <main className="welcome">
      <div className="welcome-column">
        <h1 tabIndex={-1}>{project.name}</h1>
        <p className="quiet">
          Pipelines are YAML files of this folder. They run on this machine, and unchanged on Azure ML.
        </p>
        <h2>Start</h2>
        <ul className="templates">
          {project.templates.map((template) => (
            <li key={template.id}>
              <button
                type="button"
                className="template"
                disabled={starting !== null}
                aria-busy={starting === template.id}
                onClick={() => void start(template.id)}
              >
                <Icon name={template.id === "empty" ? "add" : "branch"} />
                <span className="stack tight">
                  <strong>{template.name}</strong>
                  <span className="quiet">{starting === template.id ? "Being made …" : template.description}</span>
                </span>
              </button>
            </li>
          ))}
        </ul>
        {project.documents.length > 0 && (
          <>
            <h2>Open</h2>
            <ul className="documents">
              {project.documents.map((each) => (
                <li key={each.path}>
                  <button type="button" className="plain" onClick={() => void open(each.path)}>
                    <Icon name="document" />
                    <span className="grow cut">{each.path}</span>
                    <span className="quiet small">
                      {plural(each.num_nodes, "node")}, {new Date(each.modified * 1000).toLocaleDateString()}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
        {project.deleted.length > 0 && (
          <details className="deleted">
            <summary>Deleted ({project.deleted.length})</summary>
            <ul className="documents">
              {project.deleted.map((each) => (
                <li key={each.id}>
                  <button type="button" className="plain" onClick={() => void bringBack(each.id, each.path)}>
                    <Icon name="undo" />
                    <span className="grow cut">
                      <span className="hidden-text">Bring back </span>
                      {each.path}
                    </span>
                    <span className="quiet small">{clockText(each.time)}</span>
                  </button>
                </li>
              ))}
            </ul>
          </details>
        )}
        <p className="quiet small folder">{project.folder}</p>
      </div>
    </main>
  );
}
