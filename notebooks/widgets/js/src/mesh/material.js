// How a mesh is coloured: baked colours exactly as they are, or light, normals, texture coordinates.
import * as pc from "playcanvas";

export const MODES = { colors: 0, lit: 1, normals: 2, checker: 3, lines: 4 };

const VERTEX = `
  attribute vec3 vertex_position;
  attribute vec3 vertex_normal;
  attribute vec2 vertex_texCoord0;
  attribute vec4 vertex_color;
  uniform mat4 matrix_viewProjection;
  varying vec3 position, normal;
  varying vec2 uv;
  varying vec4 color;
  void main() {
    position = vertex_position;
    normal = vertex_normal;
    uv = vertex_texCoord0;
    color = vertex_color;
    gl_Position = matrix_viewProjection * vec4(vertex_position, 1.0);
  }`;

// Colours are sRGB from beginning to end, so that what is baked is what is seen; only a factor of the
// material, which glTF has in linear light, makes a detour.
const FRAGMENT = `
  uniform sampler2D sw_texture;
  uniform float sw_mode, sw_cutoff, sw_linear;
  uniform vec3 sw_factor, sw_line; // view_position is given
  varying vec3 position, normal;
  varying vec2 uv;
  varying vec4 color;
  vec3 toLinear(vec3 c) { return mix(pow((c + 0.055) / 1.055, vec3(2.4)), c / 12.92, lessThanEqual(c, vec3(0.04045))); }
  vec3 toSrgb(vec3 c) { return mix(1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, c * 12.92, lessThanEqual(c, vec3(0.0031308))); }
  void main() {
    vec4 texel = texture2D(sw_texture, uv);
    if (texel.a < sw_cutoff) discard;
    vec3 base = texel.rgb * color.rgb;
    if (sw_linear > 0.5) base = toSrgb(clamp(toLinear(base) * sw_factor, 0.0, 1.0));
    vec3 toEye = normalize(view_position - position);
    vec3 n = dot(normal, normal) > 0.0 ? normalize(normal) : vec3(0.0, 0.0, 1.0);
    if (sw_mode > 3.5) base = sw_line;
    else if (sw_mode > 2.5) {
      vec2 square = floor(uv * 16.0);
      float dark = mod(square.x + square.y, 2.0);
      base = mix(vec3(fract(uv.x), fract(uv.y), 0.55), vec3(0.93), 0.35 + 0.35 * dark);
    } else if (sw_mode > 1.5) base = 0.5 + 0.5 * n;
    else if (sw_mode > 0.5) base *= 0.25 + 0.75 * abs(dot(n, toEye));
    gl_FragColor = vec4(base, 1.0);
  }`;

/** A material of a part; `set(name, value)` for its uniforms. */
export function makeMaterial(texture, part) {
  const material = new pc.ShaderMaterial({
    uniqueName: "splatworks-mesh",
    vertexGLSL: VERTEX,
    fragmentGLSL: FRAGMENT,
    attributes: {
      vertex_position: pc.SEMANTIC_POSITION,
      vertex_normal: pc.SEMANTIC_NORMAL,
      vertex_texCoord0: pc.SEMANTIC_TEXCOORD0,
      vertex_color: pc.SEMANTIC_COLOR,
    },
  });
  material.cull = pc.CULLFACE_NONE;
  material.setParameter("sw_texture", texture);
  material.setParameter("sw_factor", part.factor);
  material.setParameter("sw_linear", part.factor.some((f) => f !== 1) ? 1 : 0);
  material.setParameter("sw_cutoff", part.cutoff);
  material.setParameter("sw_line", [0, 0, 0]);
  material.setParameter("sw_mode", MODES.colors);
  return material;
}

/** A texture of encoded bytes, as it is: no colour management, no premultiplied alpha. */
export async function makeTexture(device, bytes, repeats) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const blob = new Blob([bytes]);
  let image = await createImageBitmap(blob, options);
  const most = device.maxTextureSize;
  if (Math.max(image.width, image.height) > most) {
    const part = most / Math.max(image.width, image.height);
    const size = { resizeWidth: Math.floor(image.width * part), resizeHeight: Math.floor(image.height * part) };
    image.close();
    image = await createImageBitmap(blob, { ...options, ...size, resizeQuality: "high" });
  }
  const address = repeats ? pc.ADDRESS_REPEAT : pc.ADDRESS_CLAMP_TO_EDGE;
  return new pc.Texture(device, {
    name: "baked", width: image.width, height: image.height, format: pc.PIXELFORMAT_RGBA8, mipmaps: true,
    minFilter: pc.FILTER_LINEAR_MIPMAP_LINEAR, magFilter: pc.FILTER_LINEAR, anisotropy: 8,
    addressU: address, addressV: address, levels: [image],
  });
}

/** One white pixel, for parts without a texture. */
export function whiteTexture(device) {
  return new pc.Texture(device, {
    name: "white", width: 1, height: 1, format: pc.PIXELFORMAT_RGBA8, mipmaps: false,
    levels: [new Uint8Array([255, 255, 255, 255])],
  });
}
