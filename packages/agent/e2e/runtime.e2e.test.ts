import { runtimeContract } from "../src/runtime/contract.ts";
import { openLab } from "./runtime-lab.ts";

runtimeContract("docker", () => openLab(1));
