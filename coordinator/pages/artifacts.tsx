/** The files that a job uploaded. Their names are a job's own words, so they are text and nothing else; a link saves, it never shows. */
import type { ArtifactPage } from '../../schema/artifacts.ts'
import { bytesInWords } from '../../schema/bytes.ts'

/** More than that is for the API. */
const SHOWN = 100

export function Artifacts({ page }: { readonly page: ArtifactPage }) {
  const { artifacts, next_cursor: more } = page
  if (artifacts.length === 0) return null
  const rest = artifacts.length - SHOWN
  const count = `${artifacts.length}${more === null ? '' : ' or more'}`
  return (
    <section class="artifacts" aria-label="Artifacts">
      <h2>{count === '1' ? '1 artifact' : `${count} artifacts`}</h2>
      <ul>
        {artifacts.slice(0, SHOWN).map(({ path, bytes, url }) => (
          <li>
            <a href={new URL(url).pathname} download={path.slice(path.lastIndexOf('/') + 1)}>{path}</a> <span class="size">{bytesInWords(bytes)}</span>
          </li>
        ))}
      </ul>
      {(rest > 0 || more !== null) && <p class="hint">The API lists all of them: GET {new URL(artifacts[0]?.url ?? '').pathname.replace(/\/artifacts\/.*$/, '/artifacts')}</p>}
    </section>
  )
}
