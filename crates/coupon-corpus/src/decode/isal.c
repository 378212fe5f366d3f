/* ISA-L's state has a layout of its own in each version: here the compiler that sees its header deals with it. */
#include <stdint.h>
#include <stdlib.h>
#include <isa-l/igzip_lib.h>

void coupon_corpus_isal_reset(struct inflate_state *state) {
    isal_inflate_reset(state);
    state->crc_flag = ISAL_GZIP;
}

struct inflate_state *coupon_corpus_isal_new(void) {
    struct inflate_state *state = malloc(sizeof *state);
    if (state != NULL) {
        isal_inflate_init(state);
        coupon_corpus_isal_reset(state);
    }
    return state;
}

void coupon_corpus_isal_free(struct inflate_state *state) {
    free(state);
}

/* In: how many bytes there are. Out: how many were taken and made. */
int coupon_corpus_isal_inflate(struct inflate_state *state, const uint8_t *input, uint32_t *input_bytes,
                               uint8_t *output, uint32_t *output_bytes, int *is_complete) {
    state->next_in = (uint8_t *)input;
    state->avail_in = *input_bytes;
    state->next_out = output;
    state->avail_out = *output_bytes;
    int status = isal_inflate(state);
    *input_bytes -= state->avail_in;
    *output_bytes -= state->avail_out;
    *is_complete = state->block_state == ISAL_BLOCK_FINISH;
    state->next_in = NULL;
    state->next_out = NULL;
    return status;
}
