/* Chroma at the working size -> RGB codes at full resolution, whose gray is the input.

   This is `upsample.GuidedUpsampler.rows` followed by `lab.to_rgb` for integer codes, in one pass:
   each gray code is read once and each RGB code is written once. It takes the tables of
   `lab.code_tables` and makes the same float32 operations in the same order, except that the chroma is
   interpolated down before it is interpolated across. Compile it without contraction to fused
   multiply-add and without unsafe math, so that every processor computes the same bits.

   Work goes in blocks that stay in the first-level cache, and each block in short loops without
   branches, which compilers turn into vector instructions. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Versions for processors with AVX-512, with AVX2 and for all others, chosen when it is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#if defined(_MSC_VER)
#define restrict __restrict
#define INLINE __forceinline
#else
#define INLINE inline __attribute__((always_inline)) /* so that each version gets its own copy */
#endif

#define BLOCK 256 /* pixels */
#define STEPS 11  /* of the bisection, as in lab._BISECTION */
#define INTERFACE 2

typedef struct {
    float linear, f, y, lightness; /* of one code */
} Code;

typedef struct {
    float code, edge;   /* a code as a number; from this linear light on, the next code is nearer */
    float linear, next; /* linear light of the code and of the next one */
} Near;

typedef struct {
    const Code *codes;       /* top + 1 */
    const float *edges;      /* top + 2: light from edges[c] up to edges[c + 1] rounds to code c */
    const Near *of_root;     /* last_root + 1: for linear light, by its square root */
    int32_t last_root;
    float weights[3];        /* of R, G and B in luminance */
    float red[2], green[2], blue[2]; /* each channel is Y + [0] (X - Y) + [1] (Z - Y) */
} Space;

typedef struct {
    /* Planes of (grid_height, grid_width), of a before those of b. */
    const float *slope, *ab, *lightness;
    int32_t grid_height;
    int32_t grid_width;
    int32_t width;
    const int32_t *left; /* width: cell to the left of each column, and its distance from it */
    const float *across;
} Chroma;

/* Loop over the pixels of a block. */
#define EACH for (int32_t i = 0; i < n; i++)

static INLINE float f_inverse(float t)
{
    float cube = t * t * t, line = (116.0f * t - 16.0f) / (float)(24389.0 / 27.0);
    return t > (float)(6.0 / 29.0) ? cube : line;
}

/* Linear R, G and B of pixels, and whether they lie outside of the gamut. */
static INLINE void channels(int32_t n, const Space *space, const float *restrict luminance,
                            const float *restrict f, const float *restrict y,
                            const float *restrict a, const float *restrict b,
                            float *restrict red, float *restrict blue, int32_t *restrict outside)
{
    const float r0 = space->red[0], r1 = space->red[1], g0 = space->green[0], g1 = space->green[1],
                b0 = space->blue[0], b1 = space->blue[1];
    EACH {
        float dx = f_inverse(a[i] / 500.0f + f[i]) - y[i];
        float dz = f_inverse(b[i] / -200.0f + f[i]) - y[i];
        float r = (r0 * dx + luminance[i]) + r1 * dz;
        float g = (g0 * dx + luminance[i]) + g1 * dz;
        float u = (b0 * dx + luminance[i]) + b1 * dz;
        float low = r < g ? r : g, high = r > g ? r : g;
        low = u < low ? u : low;
        high = u > high ? u : high;
        red[i] = r;
        blue[i] = u;
        outside[i] = (low < 0.0f) | (high > 1.0f);
    }
}

/* The codes nearest to linear light, as numbers, and their linear light.

   The table is read in a loop of its own that copies whole entries; then the loops around it become
   vector instructions. So it is with every table here. */
static INLINE void nearest(int32_t n, const Space *space, const float *restrict light,
                           float *restrict code, float *restrict linear)
{
    Near entry[BLOCK];
    float inside[BLOCK];
    int32_t root[BLOCK];
    const Near *of_root = space->of_root;
    const float last = (float)space->last_root;
    EACH {
        float x = light[i];
        x = x > 0.0f ? x : 0.0f;
        x = x < 1.0f ? x : 1.0f;
        inside[i] = x;
        root[i] = (int32_t)(sqrtf(x) * last);
    }
    EACH memcpy(entry + i, of_root + root[i], sizeof(Near));
    EACH {
        code[i] = entry[i].code + (inside[i] >= entry[i].edge ? 1.0f : 0.0f);
        linear[i] = inside[i] >= entry[i].edge ? entry[i].next : entry[i].linear;
    }
}

/* The part of the chroma that fits into the gamut, by bisection, for the pixels of a list. */
static INLINE void fit(int32_t n, const Space *space, const int32_t *restrict list,
                       const float *restrict luminance, const float *restrict f,
                       const float *restrict y, const float *restrict a, const float *restrict b,
                       float *restrict red, float *restrict blue)
{
    float l[BLOCK], lf[BLOCK], ly[BLOCK], la[BLOCK], lb[BLOCK], part[BLOCK], sa[BLOCK], sb[BLOCK],
        r[BLOCK], u[BLOCK];
    int32_t outside[BLOCK];
    float step = 1.0f;
    EACH {
        l[i] = luminance[list[i]];
        lf[i] = f[list[i]];
        ly[i] = y[list[i]];
        la[i] = a[list[i]];
        lb[i] = b[list[i]];
        part[i] = 0.0f;
    }
    for (int s = 0; s < STEPS; s++) {
        step *= 0.5f;
        EACH {
            sa[i] = la[i] * (part[i] + step);
            sb[i] = lb[i] * (part[i] + step);
        }
        channels(n, space, l, lf, ly, sa, sb, r, u, outside);
        EACH part[i] += step * (float)(1 - outside[i]);
    }
    EACH {
        sa[i] = la[i] * part[i];
        sb[i] = lb[i] * part[i];
    }
    channels(n, space, l, lf, ly, sa, sb, r, u, outside);
    EACH {
        red[list[i]] = r[i];
        blue[list[i]] = u[i];
    }
}

/* The linear model of one row of the grid: (grid_width, 4), slope of a and b, offset of a and b. */
static INLINE void grid_row(const Chroma *chroma, int32_t row, float *restrict model)
{
    const int32_t n = chroma->grid_width;
    const ptrdiff_t first = (ptrdiff_t)row * n, plane = (ptrdiff_t)chroma->grid_height * n;
    const float *slope = chroma->slope + first, *ab = chroma->ab + first,
                *lightness = chroma->lightness + first;
    EACH {
        const float slope_a = slope[i], slope_b = slope[plane + i];
        model[4 * i] = slope_a;
        model[4 * i + 1] = slope_b;
        model[4 * i + 2] = ab[i] - slope_a * lightness[i];
        model[4 * i + 3] = ab[plane + i] - slope_b * lightness[i];
    }
}

/* Colors of n <= BLOCK pixels of one row. Returns how many of them have a doubtful gray; their
   positions, counted from `first`, go to `doubtful`. */
static INLINE int32_t block(int32_t n, const Space *space, const Chroma *chroma, int32_t left,
                            const float *restrict model, const int32_t *restrict code,
                            int32_t *restrict rgb, int32_t first, int32_t *restrict doubtful)
{
    Code entry[BLOCK];
    float ab[BLOCK * 4], luminance[BLOCK], f[BLOCK], y[BLOCK], lightness[BLOCK], a[BLOCK], b[BLOCK],
        red[BLOCK], blue[BLOCK], sum[BLOCK], light[BLOCK], r[BLOCK], g[BLOCK], u[BLOCK],
        red_light[BLOCK], blue_light[BLOCK], green_light[BLOCK], edges[BLOCK * 2];
    int32_t outside[BLOCK], list[BLOCK];
    const float wr = space->weights[0], wg = space->weights[1], wb = space->weights[2];
    int32_t count = 0, wrong = 0;

    EACH memcpy(entry + i, space->codes + code[i], sizeof(Code));
    EACH {
        luminance[i] = entry[i].linear;
        f[i] = entry[i].f;
        y[i] = entry[i].y;
        lightness[i] = entry[i].lightness;
    }
    EACH {
        const float *cell = model + 4 * (ptrdiff_t)chroma->left[left + i];
        const float across = chroma->across[left + i];
        for (int k = 0; k < 4; k++)
            ab[4 * i + k] = cell[k] + (cell[k + 4] - cell[k]) * across;
    }
    EACH {
        a[i] = ab[4 * i] * lightness[i] + ab[4 * i + 2];
        b[i] = ab[4 * i + 1] * lightness[i] + ab[4 * i + 3];
    }
    channels(n, space, luminance, f, y, a, b, red, blue, outside);
    EACH count += outside[i];
    if (count) {
        count = 0;
        EACH {
            list[count] = i;
            count += outside[i];
        }
        fit(count, space, list, luminance, f, y, a, b, red, blue);
    }
    nearest(n, space, red, r, red_light);
    nearest(n, space, blue, u, blue_light);
    EACH {
        sum[i] = red_light[i] * wr + blue_light[i] * wb;
        light[i] = (luminance[i] - sum[i]) / wg;
    }
    nearest(n, space, light, g, green_light);
    EACH memcpy(edges + 2 * i, space->edges + code[i], 2 * sizeof(float));
    EACH {
        /* The margin covers the rounding of a sum of three products. */
        float result = sum[i] + green_light[i] * wg;
        outside[i] = (result <= edges[2 * i] * (1.0f + 5e-7f)) |
                     (result >= edges[2 * i + 1] * (1.0f - 5e-7f));
        wrong += outside[i];
    }
    if (wrong) {
        wrong = 0;
        EACH if (outside[i]) doubtful[wrong++] = first + i;
    }
    EACH {
        rgb[3 * i] = (int32_t)r[i];
        rgb[3 * i + 1] = (int32_t)g[i];
        rgb[3 * i + 2] = (int32_t)u[i];
    }
    return wrong;
}

/* Version of this interface, so that Python never calls a library of another one. */
EXPORT int32_t recolor_interface(void) { return INTERFACE; }

/* Colors of rows of an image.

   gray      (rows, width) uint8 or uint16, as `wide` says; `stride` bytes from row to row
   above     rows: the row of the grid above each row; down: the distance from it, 0 to 1
   work      3 * 4 (grid_width + 1) floats
   rgb       (rows, width, 3), contiguous, of the type of `gray`
   doubtful  rows * width: positions of the pixels whose gray is to be checked in float64

   Returns the number of doubtful pixels. */
EXPORT FOR_EACH_PROCESSOR int32_t recolor_rows(const Space *space, const Chroma *chroma,
                                               int32_t wide, int32_t rows, const void *gray,
                                               int64_t stride, const int32_t *above,
                                               const float *down, float *work,
                                               void *rgb, int32_t *doubtful)
{
    int32_t code[BLOCK], out[3 * BLOCK];
    const int32_t width = chroma->width, cells = 4 * chroma->grid_width;
    /* The model of two rows of the grid, those with an even number first, and of the image's row. */
    float *const kept[2] = {work, work + cells + 4}, *const model = work + 2 * (cells + 4);
    int32_t kept_row[2] = {-1, -1};
    int32_t wrong = 0;

    for (int32_t row = 0; row < rows; row++) {
        const int32_t below = above[row] + (above[row] < chroma->grid_height - 1);
        for (int32_t of_grid = above[row]; of_grid <= below; of_grid++)
            if (kept_row[of_grid & 1] != of_grid) {
                grid_row(chroma, of_grid, kept[of_grid & 1]);
                kept_row[of_grid & 1] = of_grid;
            }
        const float *restrict upper = kept[above[row] & 1], *restrict lower = kept[below & 1];
        const unsigned char *source = (const unsigned char *)gray + row * stride;
        for (int32_t i = 0; i < cells; i++)
            model[i] = upper[i] + (lower[i] - upper[i]) * down[row];
        memcpy(model + cells, model + cells - 4, 4 * sizeof(float)); /* beyond the right border */
        for (int32_t left = 0; left < width; left += BLOCK) {
            const int32_t n = width - left < BLOCK ? width - left : BLOCK;
            const int32_t first = row * width + left;
            if (wide) {
                const uint16_t *from = (const uint16_t *)source + left;
                EACH code[i] = from[i];
            } else {
                const uint8_t *from = source + left;
                EACH code[i] = from[i];
            }
            wrong += block(n, space, chroma, left, model, code, out, first, doubtful + wrong);
            if (wide) {
                uint16_t *to = (uint16_t *)rgb + 3 * (ptrdiff_t)first;
                for (int32_t i = 0; i < 3 * n; i++)
                    to[i] = (uint16_t)out[i];
            } else {
                uint8_t *to = (uint8_t *)rgb + 3 * (ptrdiff_t)first;
                for (int32_t i = 0; i < 3 * n; i++)
                    to[i] = (uint8_t)out[i];
            }
        }
    }
    return wrong;
}
