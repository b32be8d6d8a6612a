/** What a file is by the end of its name, for those who ask for its type. Files of the same end are of the same type everywhere: no table of the machine is asked. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ...all('text/plain; charset=utf-8', 'txt log out md yml yaml toml ini cfg diff patch lcov info'),
  ...all('text/html; charset=utf-8', 'html htm'),
  ...all('text/css; charset=utf-8', 'css'),
  ...all('text/csv; charset=utf-8', 'csv'),
  ...all('text/javascript; charset=utf-8', 'js mjs cjs'),
  ...all('application/json', 'json map sarif'),
  ...all('application/xml', 'xml'),
  ...all('application/pdf', 'pdf'),
  ...all('application/wasm', 'wasm'),
  ...all('application/zip', 'zip jar war whl nupkg apk ipa'),
  ...all('application/gzip', 'gz tgz'),
  ...all('application/x-tar', 'tar'),
  ...all('application/zstd', 'zst'),
  ...all('application/x-xz', 'xz'),
  ...all('image/png', 'png'),
  ...all('image/jpeg', 'jpg jpeg'),
  ...all('image/gif', 'gif'),
  ...all('image/webp', 'webp'),
  ...all('image/svg+xml', 'svg'),
  ...all('video/mp4', 'mp4'),
  ...all('video/webm', 'webm'),
])

export function contentTypeOf(path: string): string {
  return TYPES.get(/\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? '') ?? 'application/octet-stream'
}

function all(type: string, ends: string): readonly (readonly [string, string])[] {
  return ends.split(' ').map((end) => [end, type])
}
