/* Fourier transform of 256 points, whose result is the same bits everywhere: float additions and
 * multiplications in a fixed order and a written-out table. No state. */
#ifndef DSP_FFT_H
#define DSP_FFT_H

enum { FFT_POINTS = 256 };

/* One turn in 256 steps. A sine is fft_cosine[(k + 192) % 256]. */
extern const float fft_cosine[FFT_POINTS];

/* In place, forward, natural order, not scaled: X[k] = sum x[n] exp(-2 pi i k n / points).
 * `points` is 128 or 256. */
void fft_forward(float *re, float *im, int points);

/* |X[k]|^2 of 256 real samples for k = 0 to 128. */
void fft_real_power(const float samples[FFT_POINTS], float power[FFT_POINTS / 2 + 1]);

/* Two cosine series at once, for autocorrelations from power spectra:
 * a[l] = sum over all 256 bins of power_a[k] cos(2 pi k l / 256), the spectra given for k = 0 to 128
 * and mirrored; the same for b. `lags` of them, at most 256, are written. */
void fft_cosine_pair(const float power_a[FFT_POINTS / 2 + 1], const float power_b[FFT_POINTS / 2 + 1],
                     float *a, float *b, int lags);

#endif
