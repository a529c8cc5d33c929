#pragma once
// Cutting, joining and padding of encodings.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tercel/tokenizer.h"

namespace tercel::text {

// The tokens of one text as an encoding, not special, of type and sequence `sequence`, with room
// for `room` more.
Encoding make_encoding(const TokenList& tokens, int32_t sequence, std::size_t room);

// Tokens that stand for no text.
Encoding special_encoding(const std::vector<int32_t>& ids, int32_t type_id);

// Appends `tail`. Every window of the one is joined with every window of the other. Throws
// Errc::invalid_argument when that is more than a million windows.
void append(Encoding& head, Encoding&& tail);

// Leaves the first window of at most `max_length` tokens, and the others in `overflowing` if
// asked to keep them. Throws Errc::invalid_argument when stride >= max_length.
void truncate(Encoding& encoding, std::size_t max_length, std::size_t stride,
              TextDirection direction, bool keep_overflowing);

// Truncates one or two encodings to max_length in all, by the strategy.
void truncate_all(std::vector<Encoding>& encodings, const Truncation& truncation,
                  bool keep_overflowing);

// Pads to one length, overflowing windows included. Throws Errc::invalid_argument when the length
// is more than 16 M tokens.
void pad_all(std::vector<Encoding>& encodings, const Padding& padding);

}  // namespace tercel::text
