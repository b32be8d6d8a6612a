/** The projects, by name: what each builds, and the way to its builds. */
import type { ProjectView } from '../../schema/api.ts'
import { FirstBuild } from './builds.tsx'
import { Page, type PageFrame } from './layout.tsx'

interface ProjectsProps {
  readonly frame: PageFrame
  readonly projects: readonly ProjectView[]
  readonly origin: string
  readonly islands: readonly string[]
}

export function ProjectsPage({ frame, projects, origin, islands }: ProjectsProps) {
  return (
    <Page frame={frame} title="Projects" at="projects" islands={islands}>
      <div class="head">
        <h1>Projects</h1>
        {projects.length > 0 && <p class="facts"><span>{projects.length} {projects.length === 1 ? 'project' : 'projects'}</span></p>}
      </div>
      {projects.length === 0 ? <FirstBuild origin={origin} /> : (
        <ul class="projects">
          {[...projects].sort((a, b) => (a.slug < b.slug ? -1 : 1)).map(({ slug, repository, default_branch: branch }) => (
            <li>
              <a class="title" href={`/projects/${slug}`}>{slug}</a>
              <span class="repository">{repository ?? 'no repository; runs in an empty folder'}</span>
              {branch !== null && <span class="branch">{branch}</span>}
            </li>
          ))}
        </ul>
      )}
    </Page>
  )
}
