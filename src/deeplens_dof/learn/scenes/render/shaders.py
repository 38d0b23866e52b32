"""GLSL of the rasteriser: one colour, one distance and one subject value per sample."""

MODEL_VERTEX = """
#version 330
in vec3 position; in vec3 normal; in vec2 uv; in float layer; in vec3 colour;
uniform mat4 model, view_projection, sun_projection;
uniform mat3 normal_matrix;
uniform float layer_override;
out vec3 world, world_normal, base, object_position, object_normal;
out vec2 texture_uv;
flat out float texture_layer;
out vec4 sun_position;
void main() {
  vec4 w = model * vec4(position, 1);
  world = w.xyz;
  world_normal = normal_matrix * normal;
  texture_uv = uv;
  texture_layer = layer_override > -1.5 ? layer_override : layer;
  base = colour;
  object_position = position;
  object_normal = normal;
  sun_position = sun_projection * w;
  gl_Position = view_projection * w;
}
"""

MODEL_FRAGMENT = """
#version 330
in vec3 world, world_normal, base, object_position, object_normal;
in vec2 texture_uv;
flat in float texture_layer;
in vec4 sun_position;
uniform sampler2DArray textures, cutouts;
uniform sampler2D sky;
uniform sampler2DShadow sun_shadow;
uniform vec3 eye, forward, tint, fog_colour, sun_direction, sun_colour;
uniform vec3 ambient_sh[9], light_at[4], light_colour[4];
uniform float uv_scale, gloss, fog, ambient, sky_turn, gain, grain, glow, window_m;
uniform float triplanar, subject;
uniform int kind;  // 0 solid, 1 cut-out, 2 window
uniform mat3 colour_mix;
layout(location = 0) out vec4 light;
layout(location = 1) out float distance_m;
layout(location = 2) out float subject_value;

float hash(vec3 p) { return fract(sin(dot(p, vec3(127.1, 311.7, 74.7))) * 43758.5453); }
float noise(vec3 p) {
  vec3 i = floor(p), f = fract(p);
  f = f * f * (3. - 2. * f);
  vec4 near = vec4(hash(i), hash(i + vec3(1, 0, 0)), hash(i + vec3(0, 1, 0)), hash(i + vec3(1, 1, 0)));
  vec3 j = i + vec3(0, 0, 1);
  vec4 far = vec4(hash(j), hash(j + vec3(1, 0, 0)), hash(j + vec3(0, 1, 0)), hash(j + vec3(1, 1, 0)));
  vec4 along = mix(near, far, f.z);
  return mix(mix(along.x, along.y, f.x), mix(along.z, along.w, f.x), f.y);
}
vec3 sky_light(vec3 d) {
  float around = atan(d.z, d.x) / 6.2831853 + .5 + sky_turn;
  float down = .5 - asin(clamp(d.y, -1., 1.)) / 3.14159265;
  return texture(sky, vec2(around, down)).rgb;
}
float sunlit() {
  vec3 q = sun_position.xyz / sun_position.w * .5 + .5;
  if (any(lessThan(q, vec3(0))) || any(greaterThan(q, vec3(1)))) return 1.;
  float lit = 0.;
  for (int i = -1; i <= 1; i++) for (int j = -1; j <= 1; j++)
    lit += texture(sun_shadow, vec3(q.xy + vec2(i, j) / 900., q.z - .002));
  return lit / 9.;
}
vec3 albedo() {
  vec3 a = base;
  vec2 u = texture_uv * uv_scale;
  if (triplanar > .5) {
    vec3 n = abs(object_normal), p = object_position;
    u = (n.y > n.x && n.y > n.z ? p.xz : (n.x > n.z ? p.zy : p.xy)) * uv_scale;
  }
  if (kind == 1) {
    vec4 t = texture(cutouts, vec3(texture_uv, texture_layer));
    if (t.a < .5) discard;
    a = pow(t.rgb, vec3(2.2));
  } else if (texture_layer > -.5) {
    vec4 t = texture(textures, vec3(u, texture_layer));
    if (t.a < .5) discard;
    a *= pow(t.rgb, vec3(2.2));
  }
  a = clamp(colour_mix * a * tint, 0., 1.);
  return a * (1. - grain * (.6 * noise(object_position * 9.) + .4 * noise(object_position * 37.)));
}
void main() {
  distance_m = dot(world - eye, forward);
  subject_value = subject;
  if (kind == 2) {
    light = vec4(sky_light(normalize(world - eye)) * gain, 1);
    distance_m = window_m;
    return;
  }
  vec3 a = albedo();
  vec3 V = normalize(eye - world), N = normalize(world_normal);
  if (dot(N, V) < 0.) N = -N;
  vec3 s = ambient_sh[0] + ambient_sh[1] * N.y + ambient_sh[2] * N.z + ambient_sh[3] * N.x
    + ambient_sh[4] * N.x * N.y + ambient_sh[5] * N.y * N.z
    + ambient_sh[6] * (3. * N.z * N.z - 1.) + ambient_sh[7] * N.x * N.z 
    + ambient_sh[8] * (N.x * N.x - N.y * N.y);
  vec3 falling = max(s, vec3(.03)) * ambient;
  float facing = max(dot(N, sun_direction), 0.), lit = facing > 0. ? sunlit() : 0.;
  falling += sun_colour * facing * lit;
  float mirrored = pow(max(dot(N, normalize(V + sun_direction)), 0.), 40.);
  vec3 shine = sun_colour * mirrored * lit * facing * gloss * 2.;
  for (int i = 0; i < 4; i++) {
    vec3 d = light_at[i] - world;
    float square = dot(d, d) + .05;
    d = normalize(d);
    falling += light_colour[i] * max(dot(N, d), 0.) / square;
    shine += light_colour[i] / square * pow(max(dot(N, normalize(V + d)), 0.), 40.) * gloss;
  }
  if (gloss > 0.) {
    float fresnel = gloss * (.15 + .85 * pow(1. - max(dot(N, V), 0.), 4.));
    shine += sky_light(reflect(-V, N)) * fresnel * .5 * ambient;
  }
  vec3 c = (a * falling + shine + a * glow) * gain;
  light = vec4(mix(c, fog_colour * ambient, 1. - exp(-fog * distance_m)), 1);
}
"""

BACK_VERTEX = """
#version 330
in vec2 position;
out vec2 q;
void main() { q = position; gl_Position = vec4(position, .99999, 1); }
"""

BACK_FRAGMENT = """
#version 330
in vec2 q;
uniform sampler2D sky;
uniform sampler2DArray backdrops;
uniform float backdrop, sky_turn, gain;
uniform vec3 right, up, forward, tint, gradient_low, gradient_high;
uniform vec2 tangent;
uniform vec4 crop;
uniform int kind;  // 0 sky, 1 photo, 2 gradient
layout(location = 0) out vec4 light;
layout(location = 1) out float distance_m;
layout(location = 2) out float subject_value;
void main() {
  distance_m = 1e6;
  subject_value = 0.;
  vec3 d = normalize(forward + right * q.x * tangent.x + up * q.y * tangent.y);
  float around = atan(d.z, d.x) / 6.2831853 + .5 + sky_turn;
  float down = .5 - asin(clamp(d.y, -1., 1.)) / 3.14159265;
  vec3 c = texture(sky, vec2(around, down)).rgb * gain;
  if (kind == 1) {
    vec2 at = crop.xy + crop.zw * (vec2(q.x, -q.y) * .5 + .5);
    c = pow(texture(backdrops, vec3(at, backdrop)).rgb, vec3(2.2)) * tint;
  }
  if (kind == 2) c = mix(gradient_low, gradient_high, clamp(d.y * 1.5 + .3, 0., 1.));
  light = vec4(c, 1);
}
"""

SHADOW_VERTEX = """
#version 330
in vec3 position; in vec2 uv; in float layer;
uniform mat4 model, sun_projection;
uniform float layer_override;
out vec2 texture_uv;
flat out float texture_layer;
void main() {
  texture_uv = uv;
  texture_layer = layer_override > -1.5 ? layer_override : layer;
  gl_Position = sun_projection * model * vec4(position, 1);
}
"""

SHADOW_FRAGMENT = """
#version 330
in vec2 texture_uv;
flat in float texture_layer;
uniform sampler2DArray textures, cutouts;
uniform int kind;
uniform float uv_scale;
void main() {
  float opacity = 1.;
  if (kind == 1) opacity = texture(cutouts, vec3(texture_uv, texture_layer)).a;
  else if (texture_layer > -.5) opacity = texture(textures, vec3(texture_uv * uv_scale, texture_layer)).a;
  if (opacity < .5) discard;
}
"""
