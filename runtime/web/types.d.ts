/** Public types of the pipeline. Those of a bundle's manifest are made from its schema: manifest.d.ts. */
import type { Manifest, Tensor } from './manifest.js';

export type { BundleFile, Chain, Combination, Graph, Manifest, Schedule, Step, Tensor, Tokenizer } from './manifest.js';

/** Where a bundle runs. A WebNN device is a wish that the browser's back end may or may not fulfil. */
export type Device = 'webnn-gpu' | 'webnn-npu' | 'webnn-cpu' | 'webgpu' | 'wasm';

/** What a browser says of a device; `reason` says why it is not offered and what to do, and is empty where it is. */
export interface Offer {
  device: Device;
  offered: boolean;
  reason: string;
}

/** The device that is taken, and those that were wished before it but are not there, each with its reason. */
export interface Choice {
  device: Device;
  passedOver: Offer[];
}

/**
 * `request`: it cannot be asked so; `bundle`: the manifest or the tokenizer is not right; `network`: a file is missing
 * or does not come through; `integrity`: it has another size or digest than the manifest says; `quota`: the browser
 * has no room for it; `device`: none of the devices is there; `build`: the device refuses a graph; `run`: a graph
 * failed; `numbers`: a component left its type's range; `lost`: the device or the worker is gone, and the next
 * drawing starts anew; `late`: nothing was heard for too long; `aborted`: the caller's signal.
 */
export type ErrorCode =
  | 'request'
  | 'bundle'
  | 'network'
  | 'integrity'
  | 'quota'
  | 'device'
  | 'build'
  | 'run'
  | 'numbers'
  | 'lost'
  | 'late'
  | 'aborted'
  | 'internal';

/** What every method rejects with: `message` says in one line what is wrong and what would be right. */
export interface TurboError extends Error {
  code: ErrorCode;
  /** The bundle's file that it is about. */
  file: string | undefined;
}

export interface ErrorTold {
  code: ErrorCode;
  message: string;
  file: string | undefined;
}

/** What is heard of a drawing while it is made. */
export type TurboEvent =
  /** Bytes of a component or tokenizer that are stored and verified; `cached` where `file` was stored already. */
  | { kind: 'download'; name: string; file: string; received: number; total: number; cached: boolean }
  /** A component's graph, the `graph`-th of `of`, is being built on the device. */
  | { kind: 'load'; name: string; graph: number; of: number; bytes: number }
  /** A component has made `done` of its `of` runs. */
  | { kind: 'run'; name: string; done: number; of: number }
  /** The picture that the latents point at after `step` steps. */
  | { kind: 'preview'; step: number; images: ImageData[] };

export type OnEvent = (event: TurboEvent) => void;

/** Where the worker finds its libraries; by default what the page's import map or a bundler says. */
export interface Libraries {
  /** URL of onnxruntime-web's `ort.webgpu.min.mjs`, its .wasm files beside it. */
  ort?: string;
  /** URL of `@huggingface/tokenizers`' module. */
  tokenizers?: string;
  /** URL of `hash-wasm`'s module. */
  hash?: string;
}

export interface OpenOptions {
  /** One device, or several in the order of preference; by default all, the fastest first. */
  device?: Device | readonly Device[];
  /** Whether files are kept for the next visit; true. */
  cache?: boolean;
  /**
   * Bytes of weights that may stay loaded between runs; the graph at work always may. By default 1e9 where they lie
   * in the page's own process (WASM, and WebNN but for Windows and macOS), and 4e9 elsewhere. 0 holds one graph at a
   * time.
   */
  keepBytes?: number;
  /** Seconds without a sign of life after which a drawing is given up; 600. */
  limit?: number;
  libraries?: Libraries;
}

export interface DrawRequest {
  prompt: string;
  /** As many as the manifest has a schedule of, 1 to 4; 1. */
  steps?: number;
  /** Gives the noise that `torch.randn` draws from a generator of this seed; 0. */
  seed?: number | bigint;
  /** A picture to start from, of any size. */
  image?: ImageBitmapSource;
  /** How much of it is drawn anew, above 0 and at most 1: `int(steps·strength)` steps run; 0.5. */
  strength?: number;
  /**
   * Whether its latents are sampled, as diffusers' pipelines do, or are the mean; by default what the bundle was
   * exported for.
   */
  samplePosterior?: boolean;
  /** Whether to decode, after each step but the last, the picture that it points at; false. */
  previews?: boolean;
  onEvent?: OnEvent;
  signal?: AbortSignal;
}

/** Seconds spent on a component: loading it, and all its runs. */
export interface Timing {
  load: number;
  run: number;
}

export interface Drawn {
  /** One a picture of the bundle's batch. */
  images: ImageData[];
  /** For each whether the safety checker refused it, which made it black; empty where the bundle has none. */
  flagged: boolean[];
  /** The end of the prompt that did not fit the text encoder; empty where all of it did. */
  promptCut: string;
  /** By component, in the order of their work. */
  timings: Record<string, Timing>;
}

/** A bundle that draws in the browser. */
export interface TurboPipeline {
  readonly manifest: Manifest;
  readonly choice: Choice;
  /** Bytes that a first drawing would fetch: what the browser does not hold yet. */
  lacking(options?: { fromImage?: boolean }): Promise<number>;
  /** Fetch what drawings need, so that the first one need not. */
  prepare(options?: { fromImage?: boolean; onEvent?: OnEvent; signal?: AbortSignal }): Promise<void>;
  /** As many pictures as the bundle's batch has. One call at a time. */
  draw(request: DrawRequest): Promise<Drawn>;
  /** Give back all memory. The next call starts anew. */
  release(): void;
}

export interface TurboPipelineClass {
  /**
   * Read the manifest at `url`, a bundle's folder, and choose a device. Nothing else is fetched before it is needed.
   */
  open(url: string | URL, options?: OpenOptions): Promise<TurboPipeline>;
  /** What this browser says of each device. */
  devices(precision?: string): Promise<Offer[]>;
  /** Give back the room that files of any bundle take in this origin. */
  clearCache(): Promise<void>;
}

export const TurboPipeline: TurboPipelineClass;

/** A tensor at a graph's boundary; `dtype` is numpy's name, and onnxruntime-web's. */
export interface Boundary {
  dtype: Tensor['dtype'];
  shape: Readonly<Tensor['shape']>;
}

/** What crosses to the worker. */
export interface WorkerOptions {
  url: string;
  devices: readonly Device[];
  cache: boolean;
  keepBytes: number | undefined;
  libraries: Libraries;
  /** sha256 of stored files that need not be hashed again in this visit. */
  verified: readonly string[];
}

export interface WorkerRequest {
  prompt: string;
  steps: number;
  seed: number | bigint;
  bitmap: ImageBitmap | null;
  strength: number;
  samplePosterior: boolean | undefined;
  previews: boolean;
}
