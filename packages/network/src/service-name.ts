/** Full name of a service. */
export interface ServiceName {
  readonly project: string;
  readonly environment: string;
  readonly stack: string;
  readonly service: string;
}
