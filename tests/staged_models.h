#pragma once
// Graphs as text whose layers lie on several devices.

namespace tercel {

// Two layers, and values of each type in between; an input is read by both. Of whole numbers below
// 2048, so that no type rounds them.
inline constexpr const char* kEveryType =
    "g (float[batch,64] x, float[64,64] A, float[64,64] B) => (float[batch,64] y,"
    " int64[batch,64] z) <float zero = {0}> {"
    "  [\"net/layer/0/Sign\"] p = Sign(A) [\"net/layer/0/MatMul\"] a = MatMul(x, p)"
    "  [\"net/layer/0/Greater\"] positive = Greater(a, zero)"
    "  [\"net/layer/0/Cast1\"] half = Cast<to = 10>(a) [\"net/layer/0/Cast2\"] d = Cast<to = 11>(a)"
    "  [\"net/layer/0/Cast3\"] z = Cast<to = 7>(a) [\"net/layer/0/Cast4\"] i = Cast<to = 6>(a)"
    "  [\"net/layer/1/Sign\"] q = Sign(B) [\"net/layer/1/Cast1\"] f1 = Cast<to = 1>(half)"
    "  [\"net/layer/1/Cast2\"] f2 = Cast<to = 1>(d) [\"net/layer/1/Cast3\"] f3 = Cast<to = 1>(z)"
    "  [\"net/layer/1/Cast4\"] f4 = Cast<to = 1>(i) [\"net/layer/1/Sub1\"] s1 = Sub(f1, f2)"
    "  [\"net/layer/1/Sub2\"] s2 = Sub(f3, f4) [\"net/layer/1/Add1\"] s3 = Add(s1, s2)"
    "  [\"net/layer/1/Add2\"] s4 = Add(s3, a)"
    "  [\"net/layer/1/Where\"] w = Where(positive, s4, x)"
    "  [\"net/layer/1/MatMul\"] y = MatMul(w, q) }";

}  // namespace tercel
