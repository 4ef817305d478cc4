/** Routes of certificates, of the cluster's authority and of ACME: part of the one table in routes.ts. */

import { Type } from "typebox";
import {
  AcmeInput,
  AcmeSettings,
  Authority,
  CertificateIssue,
  CertificateUpload,
  CertificateView,
  NodeCertificates,
  NodeCertificatesRequest,
} from "../resources/certificate.ts";
import type { RouteDescription } from "./route.ts";

const ENV = "/v1/projects/{project}/environments/{environment}";
const CERTIFICATE = `${ENV}/certificates/{certificate}` as const;
const text = Type.Optional(Type.String());
/** `clusterWide=true`: for every environment instead of this one. */
const ScopeQuery = Type.Object({ clusterWide: text });

export const certificateRoutes = {
  listCertificates: {
    method: "GET",
    path: `${ENV}/certificates`,
    summary: "Certificates of an environment and the cluster-wide ones; of all with `all`.",
    access: "user",
    query: Type.Object({ after: text, limit: text, all: text }),
    answer: {
      kind: "json",
      schema: Type.Object({ items: Type.Array(CertificateView), next: text }),
    },
    errors: [],
  },
  getCertificate: {
    method: "GET",
    path: CERTIFICATE,
    summary:
      "One certificate with every step of its order; the cluster-wide one if there is no other.",
    access: "user",
    query: ScopeQuery,
    answer: { kind: "json", schema: CertificateView },
    errors: ["not_found"],
  },
  putCertificate: {
    method: "PUT",
    path: CERTIFICATE,
    summary: "Takes a certificate with its key, after checking that they fit and are in time.",
    access: "user",
    query: ScopeQuery,
    body: CertificateUpload,
    answer: { kind: "json", schema: CertificateView },
    errors: ["invalid_certificate", "conflict"],
  },
  issueCertificate: {
    method: "POST",
    path: CERTIFICATE,
    summary: "Has a certificate issued by the cluster's authority or by ACME.",
    access: "user",
    query: ScopeQuery,
    body: CertificateIssue,
    answer: { kind: "json", schema: CertificateView },
    errors: ["invalid_certificate", "already_exists", "conflict"],
  },
  renewCertificate: {
    method: "POST",
    path: `${CERTIFICATE}/renew`,
    summary: "Asks for a new one now, whatever was waited for.",
    access: "user",
    query: ScopeQuery,
    answer: { kind: "json", schema: CertificateView },
    errors: ["not_found", "invalid_certificate", "conflict"],
  },
  removeCertificate: {
    method: "DELETE",
    path: CERTIFICATE,
    summary: "Removes a certificate and its key. Routes that use it get another one.",
    access: "user",
    query: ScopeQuery,
    answer: { kind: "json", schema: CertificateView },
    errors: ["not_found", "conflict"],
  },
  getAuthority: {
    method: "GET",
    path: "/v1/authority",
    summary: "The certificate of the cluster's own authority, for clients to trust.",
    access: "user",
    answer: { kind: "json", schema: Authority },
    errors: ["unavailable"],
  },
  getAcme: {
    method: "GET",
    path: `${ENV}/acme`,
    summary: "The ACME server that the environment's certificates come from.",
    access: "user",
    query: ScopeQuery,
    answer: { kind: "json", schema: AcmeSettings },
    errors: ["not_found"],
  },
  setAcme: {
    method: "PUT",
    path: `${ENV}/acme`,
    summary: "Sets the ACME server. From then on it is contacted for hosts of routes with TLS.",
    access: "admin",
    query: ScopeQuery,
    body: AcmeInput,
    answer: { kind: "json", schema: AcmeSettings },
    errors: ["conflict"],
  },
  removeAcme: {
    method: "DELETE",
    path: `${ENV}/acme`,
    summary: "Forgets the ACME server: it is not contacted any more.",
    access: "admin",
    query: ScopeQuery,
    answer: { kind: "json", schema: AcmeSettings },
    errors: ["not_found", "conflict"],
  },
  /** Certificates with their keys, for the node that serves with them only. */
  syncNodeCertificates: {
    method: "POST",
    path: "/v1/nodes/{node}/certificates",
    summary: "What the routes of a node are served with; the agent tells what it has.",
    access: "node",
    body: NodeCertificatesRequest,
    answer: { kind: "json", schema: NodeCertificates },
    errors: ["not_found"],
    unaudited: true,
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
