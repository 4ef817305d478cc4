import { runtimeContract } from "../src/runtime/contract.ts";
import { openDirectLab, openLab } from "./runtime-lab.ts";

runtimeContract("docker", () => openLab(1));
runtimeContract("docker, started directly", () => openDirectLab(6));
