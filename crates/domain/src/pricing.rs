//! What a cart costs. Pure integer arithmetic in cents.

use crate::{CouponCode, Money, OrderLine, OrderSnapshot, Promotion, PromotionKind, Timestamp};

/// Why a promotion does not apply to a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromotionRefused {
    /// Its time has not come.
    #[error("is not valid yet")]
    NotStarted,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// The cart has too few units.
    #[error("needs at least {0} items")]
    TooFewItems(u32),
    /// The cart is worth too little.
    #[error("needs a subtotal of at least {0}")]
    SubtotalTooLow(Money),
}

/// Prices lines that are sold at `now`: with a promotion's discount, or without one and with the code, if there is
/// one, only noted.
pub fn price(
    mut lines: Vec<OrderLine>,
    promotion: Option<&Promotion>,
    coupon_code: Option<CouponCode>,
    now: Timestamp,
) -> Result<OrderSnapshot, PromotionRefused> {
    if let Some(promotion) = promotion {
        check(promotion, &lines, now)?;
        discount_lines(promotion, &mut lines);
    }
    Ok(OrderSnapshot::of(lines, coupon_code))
}

fn check(promotion: &Promotion, lines: &[OrderLine], now: Timestamp) -> Result<(), PromotionRefused> {
    if promotion.starts_at.is_some_and(|starts_at| now < starts_at) {
        return Err(PromotionRefused::NotStarted);
    }
    if promotion.ends_at.is_some_and(|ends_at| ends_at <= now) {
        return Err(PromotionRefused::Expired);
    }
    let units: u32 = lines.iter().map(|line| u32::from(line.quantity.get())).sum();
    if units < promotion.min_items {
        return Err(PromotionRefused::TooFewItems(promotion.min_items));
    }
    if subtotal(lines) < promotion.min_subtotal {
        return Err(PromotionRefused::SubtotalTooLow(promotion.min_subtotal));
    }
    Ok(())
}

fn subtotal(lines: &[OrderLine]) -> Money {
    lines.iter().map(OrderLine::subtotal).sum()
}

/// Gives every line its part of the discount.
fn discount_lines(promotion: &Promotion, lines: &mut [OrderLine]) {
    let subtotal = subtotal(lines);
    let limit = promotion.max_discount.map_or(subtotal, |most| most.min(subtotal));
    match promotion.kind {
        PromotionKind::Percentage { basis_points } => {
            allocate(percentage(subtotal, basis_points).min(limit), subtotal, lines);
        }
        PromotionKind::Fixed { amount } => allocate(amount.min(limit), subtotal, lines),
        // The unit that is free stands on a line of its product: that line carries all of it. A unit that costs
        // nothing is free already.
        PromotionKind::FreeLowest => {
            let cheapest = lines
                .iter_mut()
                .filter(|line| line.unit_price_cents > Money::ZERO)
                .min_by_key(|line| (line.unit_price_cents, line.product_id, line.quantity));
            if let Some(line) = cheapest {
                line.discount_cents = line.unit_price_cents.min(limit);
            }
        }
    }
}

/// Half away from zero to the cent. 10^14 cents times 10^4 is 10^18: inside 63 bits.
fn percentage(subtotal: Money, basis_points: u16) -> Money {
    Money::from_cents((subtotal.cents() * i64::from(basis_points) + 5_000) / 10_000)
}

/// Splits `discount` over the lines in proportion to what they cost, by largest remainder: each line gets the whole
/// cents of its share, and the cents left over go to the largest fractions. Among equal ones what is on a line decides,
/// never where it stands.
fn allocate(discount: Money, subtotal: Money, lines: &mut [OrderLine]) {
    if subtotal == Money::ZERO {
        return;
    }
    let (discount, subtotal) = (i128::from(discount.cents()), i128::from(subtotal.cents()));
    let mut left = discount;
    let mut fractions: Vec<(i128, usize)> = Vec::with_capacity(lines.len());
    for (position, line) in lines.iter_mut().enumerate() {
        let share = discount * i128::from(line.subtotal().cents());
        // At most the line's own subtotal, which is 63 bits.
        let whole = i64::try_from(share / subtotal).unwrap_or(i64::MAX);
        line.discount_cents = Money::from_cents(whole);
        left -= i128::from(whole);
        fractions.push((share % subtotal, position));
    }
    fractions.sort_by_key(|&(fraction, position)| {
        let line = &lines[position];
        (std::cmp::Reverse((fraction, line.subtotal())), line.product_id, line.quantity)
    });
    for (_, position) in fractions {
        if left == 0 {
            return;
        }
        lines[position].discount_cents = lines[position].discount_cents + Money::from_cents(1);
        left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Product, ProductId, Quantity};

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn line(id: i64, cents: i64, quantity: i64) -> OrderLine {
        let product = Product {
            id: ProductId::new(id),
            name: format!("Product {id}").into(),
            price: Money::from_cents(cents),
            category: "C".into(),
            image: None,
        };
        OrderLine::sell(&product, Quantity::try_from(quantity).unwrap())
    }

    fn promotion(kind: PromotionKind) -> Promotion {
        Promotion {
            code: "CODE".parse().unwrap(),
            kind,
            min_items: 0,
            min_subtotal: Money::ZERO,
            max_discount: None,
            starts_at: None,
            ends_at: None,
            max_uses: None,
            max_uses_per_client: None,
            active: true,
        }
    }

    fn discount(lines: Vec<OrderLine>, promotion: &Promotion) -> i64 {
        price(lines, Some(promotion), None, NOW).unwrap().discount_cents.cents()
    }

    #[test]
    fn the_examples_of_the_menu() {
        let happy_hours = promotion(PromotionKind::Percentage { basis_points: 1800 });
        assert_eq!(discount(vec![line(1, 800, 1)], &happy_hours), 144);
        let save10 = promotion(PromotionKind::Percentage { basis_points: 1000 });
        let order = price(vec![line(1, 1299, 2), line(3, 999, 1)], Some(&save10), None, NOW).unwrap();
        assert_eq!(
            (order.subtotal_cents.cents(), order.discount_cents.cents(), order.total_cents.cents()),
            (3597, 360, 3237)
        );
        let buy_get_one = Promotion { min_items: 2, ..promotion(PromotionKind::FreeLowest) };
        assert_eq!(discount(vec![line(1, 1299, 1), line(3, 999, 1)], &buy_get_one), 999);
        assert_eq!(discount(vec![line(1, 1299, 2)], &buy_get_one), 1299, "exactly one unit is free");
        let refused = price(vec![line(1, 1299, 1)], Some(&buy_get_one), None, NOW);
        assert_eq!(refused, Err(PromotionRefused::TooFewItems(2)));
    }

    #[test]
    fn what_costs_nothing_is_not_the_unit_that_is_free() {
        let free = promotion(PromotionKind::FreeLowest);
        assert_eq!(discount(vec![line(1, 900, 1), line(2, 0, 1)], &free), 900);
        assert_eq!(discount(vec![line(1, 0, 3), line(2, 500, 1), line(3, 400, 2)], &free), 400);
        assert_eq!(discount(vec![line(1, 0, 1), line(2, 1, 1)], &free), 1);
        assert_eq!(discount(vec![line(1, 0, 2)], &free), 0);
    }

    #[test]
    fn half_a_cent_goes_up() {
        let half = promotion(PromotionKind::Percentage { basis_points: 5000 });
        assert_eq!(discount(vec![line(1, 1, 1)], &half), 1);
        assert_eq!(discount(vec![line(1, 3, 1)], &half), 2);
        let tenth = promotion(PromotionKind::Percentage { basis_points: 1 });
        assert_eq!(discount(vec![line(1, 4_999, 1)], &tenth), 0);
        assert_eq!(discount(vec![line(1, 5_000, 1)], &tenth), 1);
    }

    #[test]
    fn conditions_end_where_they_say() {
        let lines = || vec![line(1, 1000, 1)];
        let fixed = promotion(PromotionKind::Fixed { amount: Money::from_cents(300) });
        let with = |change: fn(&mut Promotion)| {
            let mut promotion = fixed.clone();
            change(&mut promotion);
            price(lines(), Some(&promotion), None, NOW).map(|order| order.discount_cents.cents())
        };
        assert_eq!(with(|p| p.starts_at = Some(NOW)), Ok(300));
        assert_eq!(
            with(|p| p.starts_at = Some(Timestamp::from_micros(NOW.micros() + 1))),
            Err(PromotionRefused::NotStarted)
        );
        assert_eq!(with(|p| p.ends_at = Some(NOW)), Err(PromotionRefused::Expired));
        assert_eq!(with(|p| p.ends_at = Some(Timestamp::from_micros(NOW.micros() + 1))), Ok(300));
        assert_eq!(with(|p| p.min_subtotal = Money::from_cents(1000)), Ok(300));
        let error = PromotionRefused::SubtotalTooLow(Money::from_cents(1001));
        assert_eq!(with(|p| p.min_subtotal = Money::from_cents(1001)), Err(error));
        assert_eq!(with(|p| p.max_discount = Some(Money::from_cents(250))), Ok(250));
        assert_eq!(with(|p| p.max_discount = Some(Money::ZERO)), Ok(0));
        assert_eq!(with(|p| p.kind = PromotionKind::Fixed { amount: Money::MAX_PRICE }), Ok(1000));
    }

    fn lines() -> impl Strategy<Value = Vec<OrderLine>> {
        let price =
            prop_oneof![0..5i64, 1..3000i64, Just(Money::MAX_PRICE.cents()), 0..=Money::MAX_PRICE.cents()];
        let quantity = prop_oneof![1..4i64, 1..=1000i64];
        proptest::collection::vec((1..20i64, price, quantity), 1..=100).prop_map(|lines| {
            lines.into_iter().map(|(id, cents, quantity)| line(id, cents, quantity)).collect()
        })
    }

    fn promotions() -> impl Strategy<Value = Promotion> {
        let kind = prop_oneof![
            (0..=10_000u16).prop_map(|basis_points| PromotionKind::Percentage { basis_points }),
            (0..=Money::MAX_PRICE.cents())
                .prop_map(|cents| PromotionKind::Fixed { amount: Money::from_cents(cents) }),
            Just(PromotionKind::FreeLowest),
        ];
        let most = proptest::option::of((0..100_000i64).prop_map(Money::from_cents));
        (kind, most).prop_map(|(kind, max_discount)| Promotion { max_discount, ..promotion(kind) })
    }

    /// The discount by exact fractions: the largest whole number of cents `d` with `d - 1/2 <= exact`.
    fn oracle(lines: &[OrderLine], promotion: &Promotion) -> i128 {
        let subtotal: i128 =
            lines.iter().map(|l| i128::from(l.unit_price_cents.cents()) * i128::from(l.quantity.get())).sum();
        let (numerator, denominator) = match promotion.kind {
            PromotionKind::Percentage { basis_points } => (subtotal * i128::from(basis_points), 10_000),
            PromotionKind::Fixed { amount } => (i128::from(amount.cents()), 1),
            PromotionKind::FreeLowest => {
                let prices = lines.iter().map(|l| i128::from(l.unit_price_cents.cents()));
                (prices.filter(|cents| *cents > 0).min().unwrap_or_default(), 1)
            }
        };
        let rounded = (2 * numerator + denominator).div_euclid(2 * denominator);
        let most = promotion.max_discount.map_or(subtotal, |most| i128::from(most.cents()));
        rounded.min(most).min(subtotal)
    }

    proptest! {
        #[test]
        fn an_order_adds_up(lines in lines(), promotion in promotions()) {
            let expected = oracle(&lines, &promotion);
            let order = price(lines, Some(&promotion), None, NOW).unwrap();
            prop_assert_eq!(i128::from(order.discount_cents.cents()), expected);
            prop_assert_eq!(order.total_cents, order.subtotal_cents - order.discount_cents);
            prop_assert!(order.total_cents >= Money::ZERO);
            prop_assert_eq!(order.lines.iter().map(|line| line.discount_cents).sum::<Money>(), order.discount_cents);
            for line in &order.lines {
                prop_assert!(line.discount_cents >= Money::ZERO && line.discount_cents <= line.subtotal());
            }
        }

        #[test]
        fn the_order_of_lines_changes_nothing(
            (lines, shuffled) in lines().prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
            promotion in promotions(),
        ) {
            let sorted = |lines: Vec<OrderLine>| {
                let order = price(lines, Some(&promotion), None, NOW).unwrap();
                let mut lines: Vec<_> = order.lines.iter()
                    .map(|l| (l.product_id, l.quantity, l.unit_price_cents, l.discount_cents)).collect();
                lines.sort();
                (order.subtotal_cents, order.discount_cents, order.total_cents, lines)
            };
            prop_assert_eq!(sorted(lines), sorted(shuffled));
        }

        #[test]
        fn shares_are_within_a_cent_of_exact(lines in lines(), basis_points in 0..=10_000u16) {
            let order = price(lines, Some(&promotion(PromotionKind::Percentage { basis_points })), None, NOW).unwrap();
            let (discount, subtotal) = (i128::from(order.discount_cents.cents()), i128::from(order.subtotal_cents.cents()));
            for line in &order.lines {
                let exact_times_subtotal = discount * i128::from(line.subtotal().cents());
                let off = i128::from(line.discount_cents.cents()) * subtotal - exact_times_subtotal;
                prop_assert!(off.abs() < subtotal.max(1));
            }
        }
    }
}
