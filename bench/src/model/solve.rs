//! Least squares: which terms rows of counts can tell apart, and what the terms come to.

use std::collections::{BTreeMap, BTreeSet};

use nalgebra::{DMatrix, DVector};

use super::cost::Counts;
use super::term::Term;

/// A column that is the sum of others but for so small a share of it is no column of its own.
const DEPENDENT: f64 = 1e-9;
/// What singular values below this share of the largest are taken for: 0.
const SINGULAR: f64 = 1e-12;
/// The largest leverage with which leaving a row out means anything.
const LEVERAGE: f64 = 1.0 - 1e-6;

/// Rows of counts, ready to be solved for any measured values.
pub(super) struct Design {
    /// The terms that are solved for.
    pub(super) terms: Vec<Term>,
    /// Those that cannot be told apart from these, and in how many of each they are.
    pub(super) inside: BTreeMap<Term, BTreeMap<Term, f64>>,
    weights: Vec<f64>,
    inverse: DMatrix<f64>,
    leverages: Vec<f64>,
}

impl Design {
    /// Of rows, each with the weight of its residual: what a row measures by it, so that shares are what is made small.
    pub(super) fn of(rows: &[&Counts], weights: Vec<f64>) -> Self {
        let all: BTreeSet<Term> = rows.iter().flat_map(|row| row.keys().copied()).collect();
        let column = |term: Term| {
            let of = |(row, weight): (&&Counts, &f64)| weight * row.get(&term).copied().unwrap_or_default();
            DVector::from_iterator(rows.len(), rows.iter().zip(&weights).map(of))
        };
        let (mut terms, mut columns, mut inside) = (Vec::new(), Vec::<DVector<f64>>::new(), BTreeMap::new());
        for term in all {
            let candidate = column(term);
            match parts(&columns, &candidate) {
                Some(parts) => {
                    let parts = terms
                        .iter()
                        .copied()
                        .zip(parts)
                        .filter(|(_, part): &(_, f64)| part.abs() > DEPENDENT);
                    inside.insert(term, parts.collect());
                }
                None => {
                    terms.push(term);
                    columns.push(candidate);
                }
            }
        }
        let svd = matrix(rows.len(), &columns).svd(true, true);
        let leverages = svd.u.as_ref().map(|u| u.row_iter().map(|row| row.norm_squared()).collect());
        let inverse =
            svd.pseudo_inverse(SINGULAR).unwrap_or_else(|_| DMatrix::zeros(terms.len(), rows.len()));
        Self { terms, inside, weights, inverse, leverages: leverages.unwrap_or_default() }
    }

    /// The terms, for what each row measured.
    pub(super) fn solve(&self, measured: &[f64]) -> Vec<f64> {
        let weighted =
            DVector::from_iterator(measured.len(), measured.iter().zip(&self.weights).map(|(y, w)| y * w));
        (&self.inverse * weighted).iter().copied().collect()
    }

    /// What a row would have been off from a fit without it, given by how much it is off from the fit with it; `None` of a row
    /// without which something would not be known.
    pub(super) fn left_out(&self, row: usize, residual: f64) -> Option<f64> {
        self.leverages
            .get(row)
            .filter(|leverage| **leverage < LEVERAGE)
            .map(|leverage| residual / (1.0 - leverage))
    }
}

fn matrix(rows: usize, columns: &[DVector<f64>]) -> DMatrix<f64> {
    if columns.is_empty() { DMatrix::zeros(rows, 0) } else { DMatrix::from_columns(columns) }
}

/// Of how much of each of `columns` another is the sum, if it is.
fn parts(columns: &[DVector<f64>], other: &DVector<f64>) -> Option<Vec<f64>> {
    if columns.is_empty() {
        return None;
    }
    // Of like length each, or small columns would drown in large ones.
    let unit: Vec<DVector<f64>> = columns.iter().map(DVector::normalize).collect();
    let svd = matrix(other.len(), &unit).svd(true, true);
    let parts = svd.solve(other, SINGULAR).ok()?;
    let rest = (other - matrix(other.len(), &unit) * &parts).norm();
    let parts = parts.iter().zip(columns).map(|(part, column)| part / column.norm());
    (rest <= DEPENDENT * other.norm()).then(|| parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[&[(Term, f64)]]) -> Vec<Counts> {
        of.iter().map(|row| row.iter().copied().collect()).collect()
    }

    fn design(rows: &[Counts]) -> Design {
        Design::of(&rows.iter().collect::<Vec<_>>(), vec![1.0; rows.len()])
    }

    #[test]
    fn planted_terms_are_found() {
        let rows = rows(&[
            &[(Term::Exit, 1.0)],
            &[(Term::Exit, 32.0), (Term::Madvise, 32.0)],
            &[(Term::Exit, 1.0), (Term::Madvise, 32.0)],
            &[(Term::Exit, 8.0), (Term::Madvise, 8.0)],
        ]);
        let design = design(&rows);
        let terms = design.solve(&[7.0, 32.0 * 10.0, 7.0 + 32.0 * 3.0, 80.0]);
        assert!((terms[0] - 7.0).abs() < 1e-9 && (terms[1] - 3.0).abs() < 1e-9, "{terms:?}");
        assert!(design.inside.is_empty());
    }

    #[test]
    fn what_rows_cannot_tell_apart_is_one_and_says_so() {
        let rows = rows(&[
            &[(Term::Kick, 1.0), (Term::WakeUp, 1.0), (Term::Madvise, 32.0), (Term::DiscardPage, 64.0)],
            &[(Term::Kick, 1.0), (Term::WakeUp, 1.0), (Term::Madvise, 8.0), (Term::DiscardPage, 16.0)],
        ]);
        let design = design(&rows);
        assert_eq!(design.terms, [Term::Kick, Term::Madvise]);
        let inside = |term, holder| design.inside[&term].get(&holder).copied().unwrap_or_default();
        assert!((inside(Term::WakeUp, Term::Kick) - 1.0).abs() < 1e-9);
        assert!((inside(Term::DiscardPage, Term::Madvise) - 2.0).abs() < 1e-9);
        let terms = design.solve(&[100.0 + 32.0 * 5.0, 100.0 + 8.0 * 5.0]);
        assert!((terms[0] - 100.0).abs() < 1e-6 && (terms[1] - 5.0).abs() < 1e-6, "{terms:?}");
        assert!(design.left_out(0, 1.0).is_none(), "without it a term is not known");
    }

    #[test]
    fn a_row_left_out_is_off_as_a_fit_without_it_says() {
        let all = rows(&[&[(Term::Exit, 1.0)], &[(Term::Exit, 2.0)], &[(Term::Exit, 4.0)]]);
        let measured = [1.0, 2.5, 3.5];
        let with = design(&all);
        let residual = measured[2] - 4.0 * with.solve(&measured)[0];
        let without = design(&all[..2]).solve(&measured[..2])[0];
        assert!((with.left_out(2, residual).unwrap() - (measured[2] - 4.0 * without)).abs() < 1e-9);
    }
}
