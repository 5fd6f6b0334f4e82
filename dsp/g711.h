/* ITU-T G.711: mu-law and A-law, 16-bit samples, and their rows of the codec table.
 * Equal to the ITU-T software tools for every sample and every code. Pure, any thread. */
#ifndef DSP_G711_H
#define DSP_G711_H

#include <stdint.h>

#include "dsp/codec.h"

enum { G711_MU_CEILING = 32124, G711_A_CEILING = 32256 }; /* largest sample that a decoder gives */

extern const struct codec g711_pcmu, g711_pcma;

int16_t g711_mu_to_linear(uint8_t code);
int16_t g711_a_to_linear(uint8_t code);
/* mu-law has two zeros: 0x7f decodes to 0, which encodes to 0xff. All other codes come back. */
uint8_t g711_linear_to_mu(int16_t sample);
uint8_t g711_linear_to_a(int16_t sample);

#endif
