/** A path of which the name of the file is seen, however little room there is for its folders. */

export function PathName({ path }: { path: string }) {
  const at = path.lastIndexOf("/") + 1;
  return (
    <span className="path-name" title={path}>
      {at > 0 && <span className="cut path-folder">{path.slice(0, at)}</span>}
      <span className="cut path-file">{path.slice(at)}</span>
    </span>
  );
}
