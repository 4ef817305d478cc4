/** Every handler under the identifier of its route. A route without one does not compile. */

import type { HandlerTable } from "./handler.ts";
import * as acme from "./handlers/acme.ts";
import * as blobs from "./handlers/blobs.ts";
import * as certificates from "./handlers/certificates.ts";
import * as externalFiles from "./handlers/external-files.ts";
import * as images from "./handlers/images.ts";
import * as ingress from "./handlers/ingress.ts";
import * as joining from "./handlers/joining.ts";
import * as networkChecks from "./handlers/network-checks.ts";
import * as networks from "./handlers/networks.ts";
import * as nodeReports from "./handlers/node-reports.ts";
import * as nodes from "./handlers/nodes.ts";
import * as parameters from "./handlers/parameters.ts";
import * as platform from "./handlers/platform.ts";
import * as policies from "./handlers/policies.ts";
import * as records from "./handlers/records.ts";
import * as registries from "./handlers/registries.ts";
import * as routes from "./handlers/routes.ts";
import * as servers from "./handlers/servers.ts";
import * as stackViews from "./handlers/stack-views.ts";
import * as stacks from "./handlers/stacks.ts";
import * as tasks from "./handlers/tasks.ts";
import * as volumeCopies from "./handlers/volume-copies.ts";
import * as volumes from "./handlers/volumes.ts";
import * as watches from "./handlers/watch.ts";

export const handlers: HandlerTable = {
  health: platform.health,
  readiness: platform.readiness,
  metrics: platform.metrics,
  openapi: platform.openapi,
  version: platform.version,
  debugLoops: platform.debugLoops,
  checkNetworks: networkChecks.checkNetworks,
  snapshotStore: platform.snapshotStore,
  watch: watches.watch,
  listStacks: stackViews.listStacks,
  getStack: stackViews.getStack,
  planStack: stackViews.planStack,
  explainService: stackViews.explainService,
  removeStack: stacks.removeStack,
  deployStack: stacks.deployStack,
  resolveParameters: parameters.resolveParameters,
  listParameters: parameters.listParameters,
  showParameters: parameters.showParameters,
  forgetParameter: parameters.forgetParameter,
  getDeployment: stacks.getDeployment,
  listReleases: stacks.listReleases,
  getRelease: stacks.getRelease,
  rollbackStack: stacks.rollbackStack,
  scaleService: stacks.scaleService,
  restartService: stacks.restartService,
  listTasks: tasks.listTasks,
  readLogs: tasks.readLogs,
  listRoutes: routes.listRoutes,
  readAccessLog: routes.readAccessLog,
  execTask: tasks.execTask,
  pauseTask: tasks.pauseTask,
  resumeTask: tasks.resumeTask,
  listVolumes: volumes.listVolumes,
  removeVolume: volumes.removeVolume,
  getVolume: volumes.getVolume,
  backupVolume: volumeCopies.backupVolume,
  restoreVolume: volumeCopies.restoreVolume,
  moveVolume: volumes.moveVolume,
  getVolumeContent: volumes.getVolumeContent,
  listNetworks: networks.listNetworks,
  removeNetwork: networks.removeNetwork,
  listEvents: records.listEvents,
  listClusterEvents: records.listClusterEvents,
  listAudit: records.listAudit,
  listNodes: nodes.listNodes,
  getNode: nodes.getNode,
  getNodeStanding: nodes.getNodeStanding,
  getIngress: ingress.getIngress,
  putFloatingAddress: ingress.putFloatingAddress,
  removeFloatingAddress: ingress.removeFloatingAddress,
  readClusterTrace: nodes.readClusterTrace,
  setNodeAvailability: nodes.setNodeAvailability,
  getPolicy: policies.getPolicy,
  putPolicy: policies.putPolicy,
  changeNode: nodes.changeNode,
  listRegistries: registries.listRegistries,
  putRegistry: registries.putRegistry,
  removeRegistry: registries.removeRegistry,
  getRegistryAuths: registries.getRegistryAuths,
  listCertificates: certificates.listCertificates,
  getCertificate: certificates.getCertificate,
  putCertificate: certificates.putCertificate,
  issueCertificate: certificates.issueCertificate,
  renewCertificate: certificates.renewCertificate,
  removeCertificate: certificates.removeCertificate,
  getAuthority: certificates.getAuthority,
  syncNodeCertificates: certificates.syncNodeCertificates,
  getAcme: acme.getAcme,
  setAcme: acme.setAcme,
  removeAcme: acme.removeAcme,
  listExternalFiles: externalFiles.listExternalFiles,
  getExternalFile: externalFiles.getExternalFile,
  putExternalFile: externalFiles.putExternalFile,
  getExternalContent: externalFiles.getExternalContent,
  removeExternalFile: externalFiles.removeExternalFile,
  putBlob: blobs.putBlob,
  hasBlobs: blobs.hasBlobs,
  getBlob: blobs.getBlob,
  getNodeBlob: blobs.getNodeBlob,
  listServers: servers.listServers,
  removeServer: servers.removeServer,
  relaySession: servers.relaySession,
  getServerBlob: servers.getServerBlob,
  putServerBlob: servers.putServerBlob,
  listServerBlobs: servers.listServerBlobs,
  joinScript: joining.joinScript,
  getSoftware: joining.getSoftware,
  createJoinToken: joining.createJoinToken,
  checkJoin: joining.checkJoin,
  joinNode: joining.joinNode,
  joinServer: joining.joinServer,
  renewNodeCertificate: joining.renewNodeCertificate,
  removeNode: joining.removeNode,
  confirmNodeFenced: joining.confirmNodeFenced,
  reportNode: nodeReports.reportNode,
  renewLease: nodeReports.renewLease,
  reportTasks: nodeReports.reportTasks,
  reportOperation: nodeReports.reportOperation,
  getTaskSecrets: nodeReports.getTaskSecrets,
  findImage: images.findImage,
  getNodeImage: images.getNodeImage,
  openSession: tasks.openSession,
};
