// Each pass by text: a model that goes in, and what is to come out. What must stay as it is stands
// beside what changes.

#include "src/passes/passes.h"

#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/passes/pass_list.h"
#include "src/passes/test_support.h"

namespace tercel::passes {
namespace {

struct Case {
  const char* name;
  bool (*run)(ir::Model&, const PassContext&);
  std::string before;
  std::string after;  // empty: nothing changes
};

void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

std::vector<Case> cleaning() {
  return {
      {"IdentityGoes", eliminate_identity,
       "(float[2] x) => (float[2] y) { a = Identity(x) y = Neg(a) }",
       "(float[2] x) => (float[2] y) { y = Neg(x) }"},
      {"IdentityFromInputToOutputStays", eliminate_identity,
       "(float[2] x) => (float[2] y) { y = Identity(x) }", ""},
      {"OutputKeepsItsName", eliminate_identity,
       "(float[2] x) => (float[2] y) { a = Neg(x) y = Identity(a) }",
       "(float[2] x) => (float[2] y) { y = Neg(x) }"},
      {"CastToSameType", eliminate_identity,
       "(float[2] x) => (float[2] y) { a = Cast<to = 1>(x) y = Neg(a) }",
       "(float[2] x) => (float[2] y) { y = Neg(x) }"},
      {"CastToOtherTypeStays", eliminate_identity,
       "(float[2] x) => (double[2] y) { a = Cast<to = 11>(x) y = Neg(a) }", ""},
      {"AddZero", eliminate_identity,
       "(float[N] x) => (float[N] y) <float zero = {0.0}> { a = Add(zero, x) y = Neg(a) }",
       "(float[N] x) => (float[N] y) { y = Neg(x) }"},
      {"AddZeroThatBroadcastsStays", eliminate_identity,
       "(float[N] x) => (float[1,N] y) <float[1,1] zero = {0.0}> { a = Add(x, zero) y = Neg(a) }",
       ""},
      {"SubtractFromZeroStays", eliminate_identity,
       "(float[N] x) => (float[N] y) <float zero = {0.0}> { a = Sub(zero, x) y = Neg(a) }", ""},
      {"ReshapeToTheSame", eliminate_identity,
       "(float[N,4] x) => (float[N,4] y) <int64[2] s = {0, 4}> { a = Reshape(x, s) y = Neg(a) }",
       "(float[N,4] x) => (float[N,4] y) { y = Neg(x) }"},
      {"UnsqueezeAndSqueeze", eliminate_identity,
       "(float[N,4] x) => (float[N,4] y) <int64[1] at = {1}>"
       "{ a = Unsqueeze(x, at) b = Squeeze(a, at) y = Neg(b) }",
       "(float[N,4] x) => (float[N,4] y) { y = Neg(x) }"},
      {"ReversingSliceStays", eliminate_identity,
       "(float[4] x) => (float[4] y) <int64[1] s = {-1}, int64[1] e = {-9}, int64[1] a = {0}>"
       "{ b = Slice(x, s, e, a, s) y = Neg(b) }",
       ""},
      {"DropoutInInference", eliminate_identity,
       "(float[4] x) => (float[4] y) { a = Dropout(x) y = Neg(a) }",
       "(float[4] x) => (float[4] y) { y = Neg(x) }"},
      {"DropoutWithItsMaskStays", eliminate_identity,
       "(float[4] x) => (float[4] y, bool[4] m) { a, m = Dropout(x) y = Neg(a) }", ""},
      {"TransposesMerge", merge_transposes,
       "(float[A,B,C] x) => (float[C,A,B] y)"
       "{ a = Transpose<perm = [1,2,0]>(x) y = Transpose<perm = [1,2,0]>(a) }",
       "(float[A,B,C] x) => (float[C,A,B] y) { y = Transpose<perm = [2,0,1]>(x) }"},
      {"TransposesCancel", merge_transposes,
       "(float[A,B] x) => (float[A,B] y) { a = Transpose(x) b = Transpose(a) y = Neg(b) }",
       "(float[A,B] x) => (float[A,B] y) { y = Neg(x) }"},
      {"TransposeOfTheLastTwoAxes", merge_transposes,
       "(float[B,2,S,4] x) => (float[B,2,4,S] y) <int64[3] f = {-1, 5, 4}> "
       "{ s = Shape<start = 2, end = 3>(x) m = Constant<value_ints = [-1]>()"
       "  d = Constant<value_ints = [4]>() n = Constant<value_ints = [2]>()"
       "  b = Shape<start = 0, end = 1>(x) flat = Concat<axis = 0>(m, s, d)"
       "  full = Concat<axis = 0>(b, n, d, s) r = Reshape(x, flat)"
       "  t = Transpose<perm = [0,2,1]>(r) y = Reshape(t, full) }",
       "(float[B,2,S,4] x) => (float[B,2,4,S] y) { y = Transpose<perm = [0,1,3,2]>(x) }"},
      {"DeadNodesGo", eliminate_dead,
       "(float[2] x) => (float[2] y) <float c = {1.0}> { a = Neg(x) b = Add(a, c) y = Abs(x) }",
       "(float[2] x) => (float[2] y) { y = Abs(x) }"},
      {"UnusedInputStays", eliminate_dead,
       "(float[2] x, float[2] z) => (float[2] y) { y = Abs(x) }", ""},
      {"EqualNodesMerge", eliminate_common,
       "(float[2] x) => (float[2] y) { a = Neg(x) b = Neg(x) y = Add(a, b) }",
       "(float[2] x) => (float[2] y) { a = Neg(x) y = Add(a, a) }"},
      {"OtherAttributesStay", eliminate_common,
       "(float[2] x) => (float[2] y)"
       "{ a = Elu<alpha = 1.0>(x) b = Elu<alpha = 2.0>(x) y = Add(a, b) }",
       ""},
      {"RandomNodesStay", eliminate_common,
       "() => (float[2] y) { a = RandomNormal<shape = [2]>() b = RandomNormal<shape = [2]>()"
       "  y = Add(a, b) }",
       ""},
      {"EqualConstantsMerge", eliminate_common,
       "(float[2] x) => (float[2] y) <float c = {1.0}, float d = {1.0}>"
       "{ a = Add(x, c) b = Add(x, d) y = Mul(a, b) }",
       "(float[2] x) => (float[2] y) <float c = {1.0}> { a = Add(x, c) y = Mul(a, a) }"},
      {"ConstantNodesBecomeInitializers", fold_constants,
       "(float[2] x) => (float[2] y) { c = Constant<value_float = 2.0>() y = Mul(x, c) }",
       "(float[2] x) => (float[2] y) <float c = {2.0}> { y = Mul(x, c) }"},
      {"KnownShapesFold", fold_constants,
       "(float[2,3] x, int64[2,3] z) => (int64[2] y) { s = Shape(x) t = Shape(z) y = Add(s, s) }",
       "(float[2,3] x, int64[2,3] z) => (int64[2] y) <int64[2] c = {4, 6}> { y = Identity(c) }"},
      {"UnknownShapesStay", fold_constants,
       "(float[N,3] x) => (int64[2] y) { s = Shape(x) y = Neg(s) }", ""},
      {"ConditionThatIsKnown", inline_if,
       "(float[2] x) => (float[2] y) <bool c = {1}>"
       "{ y = If(c) <then_branch = t () => (float[2] a) { b = Neg(x) a = Abs(b) },"
       "             else_branch = e () => (float[2] d) { d = Exp(x) }> }",
       "(float[2] x) => (float[2] y) { b = Neg(x) y = Abs(b) }"},
      {"ReshapeTargetsBecomeConstant", simplify_shapes,
       "(float[B,S,8] x) => (float[B,S,2,4] y) <int64[1] m = {-1}, int64[1] d = {4}>"
       "{ b = Shape<start = 0, end = 1>(x) s = Shape<start = 1, end = 2>(x)"
       "  t = Concat<axis = 0>(b, s, m, d) y = Reshape<allowzero = 1>(x, t) }",
       "(float[B,S,8] x) => (float[B,S,2,4] y) <int64[4] t = {0, 0, 2, 4}> { y = Reshape(x, t) }"},
      {"SizesComeFromInputs", simplify_shapes,
       "(float[B,S] x) => (int64[1] y) { a = Neg(x) b = Shape<start = 1>(a) y = Neg(b) }",
       "(float[B,S] x) => (int64[1] y) { b = Shape<end = 2, start = 1>(x) y = Neg(b) }"},
      {"FlattenedRows", unflatten_rows,
       "(float[A,B,C] x) => (float[A,B,C] y)"
       "{ s = Shape(x) f = Flatten<axis = 2>(x) r = Softmax<axis = -1>(f) y = Reshape(r, s) }",
       "(float[A,B,C] x) => (float[A,B,C] y) { y = Softmax<axis = -1>(x) }"},
  };
}

std::vector<Case> fusing() {
  const std::string norm =
      "m = ReduceMean(x, last) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, last)"
      "e = Add(v, eps) s = Sqrt(e) n = Div(d, s) ";
  const std::string constants =
      "<int64[1] last = {-1}, float two = {2.0}, float eps = {0.5},"
      " float[4] g = {1.0, 2.0, 3.0, 4.0}, float[4] b = {5.0, 6.0, 7.0, 8.0}> ";
  const std::string gelu =
      "<float r = {1.4142135}, float one = {1.0}, float half = {0.5}, float c = {0.044715},"
      " float p = {0.7978845608}, float three = {3.0}> ";
  return {
      {"LayerNorm", fuse_layer_norm,
       "(float[N,4] x) => (float[N,4] y) " + constants + "{" + norm +
           "w = Mul(n, g) y = Add(w, b) }",
       "(float[N,4] x) => (float[N,4] y) " + constants +
           "{ y = LayerNormalization<axis = -1, epsilon = 0.5>(x, g, b) }"},
      {"LayerNormBySquareAndOtherOrder", fuse_layer_norm,
       "(float[N,4] x) => (float[N,4] y) " + constants +
           "{ m = ReduceMean(x, last) d = Sub(x, m) f = Sub(x, m) p = Mul(f, f)"
           "  v = ReduceMean(p, last) e = Add(eps, v) s = Sqrt(e) i = Reciprocal(s)"
           "  n = Mul(i, d) w = Mul(g, n) y = Add(b, w) }",
       "(float[N,4] x) => (float[N,4] y) " + constants +
           "{ y = LayerNormalization<axis = -1, epsilon = 0.5>(x, g, b) }"},
      {"LayerNormWithoutScale", fuse_layer_norm,
       "(float[N,4] x) => (float[N,4] y) " + constants + "{" + norm + "y = Neg(n) }",
       "(float[N,4] x) => (float[N,4] y) <float[4] o = {1.0, 1.0, 1.0, 1.0}>"
       "{ a = LayerNormalization<axis = -1, epsilon = 0.5>(x, o) y = Neg(a) }"},
      {"NormOverAnotherAxisStays", fuse_layer_norm,
       "(float[N,4] x) => (float[N,4] y) <int64[1] last = {0}, float two = {2.0},"
       " float eps = {0.5}> {" +
           norm + "y = Neg(n) }",
       ""},
      {"GeluByErf", fuse_gelu,
       "(float[N] x) => (float[N] y) " + gelu +
           "{ a = Div(x, r) e = Erf(a) d = Add(e, one) f = Mul(x, d) y = Mul(f, half) }",
       "(float[N] x) => (float[N] y) { y = Gelu<approximate = \"none\">(x) }"},
      {"GeluByErfInAnotherOrder", fuse_gelu,
       "(float[N] x) => (float[N] y) " + gelu +
           "{ a = Div(x, r) e = Erf(a) d = Add(one, e) f = Mul(half, d) y = Mul(x, f) }",
       "(float[N] x) => (float[N] y) { y = Gelu<approximate = \"none\">(x) }"},
      {"GeluByTanh", fuse_gelu,
       "(float[N] x) => (float[N] y) " + gelu +
           "{ h = Mul(x, half) q = Pow(x, three) s = Mul(q, c) t = Add(x, s) u = Mul(t, p)"
           "  v = Tanh(u) w = Add(v, one) y = Mul(h, w) }",
       "(float[N] x) => (float[N] y) { y = Gelu<approximate = \"tanh\">(x) }"},
      {"GeluByTanhWithProducts", fuse_gelu,
       "(float[N] x) => (float[N] y) " + gelu +
           "{ s = Mul(x, x) q = Mul(x, s) k = Mul(c, q) t = Add(x, k) u = Mul(p, t) v = Tanh(u)"
           "  w = Add(one, v) z = Mul(x, w) y = Mul(half, z) }",
       "(float[N] x) => (float[N] y) { y = Gelu<approximate = \"tanh\">(x) }"},
      {"ErfWithAnotherFactorStays", fuse_gelu,
       "(float[N] x) => (float[N] y) " + gelu +
           "{ a = Div(x, three) e = Erf(a) d = Add(e, one) f = Mul(x, d) y = Mul(f, half) }",
       ""},
      {"Swish", fuse_gelu, "(float[N] x) => (float[N] y) { s = Sigmoid(x) y = Mul(x, s) }",
       "(float[N] x) => (float[N] y) { y = Swish<alpha = 1.0>(x) }"},
  };
}

const std::string kQkv = "(float[B,2,S,4] q, float[B,2,S,4] k, float[B,2,S,4] v, ";

std::vector<Case> attending() {
  const std::string scores = "{ kt = Transpose<perm = [0,1,3,2]>(k) a = MatMul(q, kt) ";
  return {
      {"AttentionWithAdditiveMask", fuse_attention,
       kQkv + "float[B,1,1,S] m) => (float[B,2,S,4] y) <float c = {4.0}>" + scores +
           "b = Div(a, c) d = Add(b, m) p = Softmax<axis = -1>(d) y = MatMul(p, v) }",
       kQkv +
           "float[B,1,1,S] m) => (float[B,2,S,4] y) { y = Attention<scale = 0.25>(q, k, v, m) }"},
      {"AttentionWithoutMask", fuse_attention,
       kQkv + "float[B,1,1,S] m) => (float[B,2,S,4] y)" + scores +
           "p = Softmax<axis = 3>(a) y = MatMul(p, v) }",
       kQkv + "float[B,1,1,S] m) => (float[B,2,S,4] y) { y = Attention<scale = 1.0>(q, k, v) }"},
      {"ScaleOnBothSidesAndGuard", fuse_attention,
       kQkv + "float[B,1,S,S] m) => (float[B,2,S,4] y) <float c = {0.5}, float[1] zero = {0.0}>"
              "{ kt = Transpose<perm = [0,1,3,2]>(k) qs = Mul(q, c) ks = Mul(c, kt)"
              "  a = MatMul(qs, ks) d = Add(a, m) p = Softmax<axis = -1>(d) i = IsNaN(p)"
              "  w = Where(i, zero, p) y = MatMul(w, v) }",
       kQkv +
           "float[B,1,S,S] m) => (float[B,2,S,4] y) { y = Attention<scale = 0.25>(q, k, v, m) }"},
      {"ProbabilitiesThatAreUsedStay", fuse_attention,
       kQkv + "float[B,1,1,S] m) => (float[B,2,S,4] y, float[B,2,S,S] p)" + scores +
           "p = Softmax<axis = -1>(a) y = MatMul(p, v) }",
       ""},
      {"ScaledMaskStays", fuse_attention,
       kQkv + "float[B,1,1,S] m) => (float[B,2,S,4] y) <float c = {4.0}>" + scores +
           "b = Add(a, m) d = Div(b, c) p = Softmax<axis = -1>(d) y = MatMul(p, v) }",
       ""},
      {"MaskOfOneColumnStays", fuse_attention,
       kQkv + "float[B,1,S,1] m) => (float[B,2,S,4] y)" + scores +
           "d = Add(a, m) p = Softmax<axis = -1>(d) y = MatMul(p, v) }",
       ""},
      {"FilledScores", fuse_attention,
       kQkv + "bool[B,1,1,S] m) => (float[B,2,S,4] y) <float low = {-3e38}>" + scores +
           "d = Where(m, low, a) p = Softmax<axis = -1>(d) y = MatMul(p, v) }",
       kQkv + "bool[B,1,1,S] m) => (float[B,2,S,4] y) <float low = {-3e38}, float zero = {0.0}>"
              "{ w = Where(m, low, zero) y = Attention<scale = 1.0>(q, k, v, w) }"},
      {"HeadsMerge", fuse_heads,
       "(float[B,S,8] q, float[B,S,8] k, float[B,S,8] v) => (float[B,S,8] y)"
       "<int64[4] s = {0, 0, 2, 4}, int64[3] m = {0, 0, 8}>"
       "{ a = Reshape(q, s) qh = Transpose<perm = [0,2,1,3]>(a) b = Reshape(k, s)"
       "  kh = Transpose<perm = [0,2,1,3]>(b) c = Reshape(v, s)"
       "  vh = Transpose<perm = [0,2,1,3]>(c) o = Attention<scale = 0.5>(qh, kh, vh)"
       "  t = Transpose<perm = [0,2,1,3]>(o) y = Reshape(t, m) }",
       "(float[B,S,8] q, float[B,S,8] k, float[B,S,8] v) => (float[B,S,8] y)"
       "{ y = Attention<scale = 0.5, q_num_heads = 2, kv_num_heads = 2>(q, k, v) }"},
      {"MaskThatIsTrueAnyway", simplify_masks,
       kQkv + "bool[B,1,1,S] m) => (float[B,2,S,4] y)"
              "<int64 zero = {0}, int64 step = {1}, int64[3] at = {0,1,3}>"
              "{ n = Shape<start = 2, end = 3>(q) l = Squeeze(n) r = Range(zero, l, step)"
              "  u = Unsqueeze(r, at) t = GreaterOrEqual(u, zero) w = And(t, m)"
              "  y = Attention(q, k, v, w) }",
       kQkv + "bool[B,1,1,S] m) => (float[B,2,S,4] y) { y = Attention(q, k, v, m) }"},
  };
}

class Rewrite : public testing::TestWithParam<Case> {};

TEST_P(Rewrite, GivesTheExpectedText) {
  const Case& each = GetParam();
  const Outcome outcome =
      rewrite(each.run, each.before, each.after.empty() ? each.before : each.after);
  EXPECT_EQ(outcome.actual, outcome.expected);
  if (each.after.empty()) {
    EXPECT_FALSE(outcome.changed);
  }
}

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Cleaning, Rewrite, testing::ValuesIn(cleaning()), name_of);
INSTANTIATE_TEST_SUITE_P(Fusing, Rewrite, testing::ValuesIn(fusing()), name_of);
INSTANTIATE_TEST_SUITE_P(Attending, Rewrite, testing::ValuesIn(attending()), name_of);

}  // namespace
}  // namespace tercel::passes
