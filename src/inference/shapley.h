// Shapley values of a game whose value is dear: which coalitions to ask for, and what follows from their values.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace reviewrate {

/// Which players take part, one flag a player.
using Coalition = std::vector<bool>;

/// The coalitions of `players` (1 or more) that tell most about their Shapley values, at most `count` (2 or more) of
/// them and none twice: nobody first, then all, then in a sequence that is always the same. All 2^players where they
/// are not more than `count`.
std::vector<Coalition> shapley_design(std::size_t players, std::size_t count);

/// The Shapley values of the players of a game of which `values` are known, one for each coalition of `design`,
/// which begins with nobody and all. They add up to the value of all less the value of nobody, but for rounding. They
/// are exact where every coalition is known. Else they are the expectation under a Gaussian process: games that are
/// nearly additive, and in which coalitions that differ in few players have similar values, are the more probable ones.
///
/// The kernel is c + a * (1 - 2 * d / n) + t^d, with d the number of players in which two coalitions differ. As the
/// Shapley value is linear in the game, its expectation is a weighted sum of the known values, in closed form
/// (Bayesian quadrature; for t^d by the multilinear extension of Owen, Management Science 18 (5), 1972).
std::vector<double> shapley_values(std::span<const Coalition> design, std::span<const double> values);

}  // namespace reviewrate
