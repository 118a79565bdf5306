//! Types as the checker sees them: those of a definition, and the type of elements and of `null`.

use std::fmt;

use crate::value::{FieldType, TypeName, Value};

use super::syntax::{Function, Operator};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Type {
    pub(super) base: Base,
    pub(super) nullable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    /// The literal `null`.
    Null,
    /// A list whose elements are known.
    ListOf(Box<Type>),
    Named(TypeName),
}

use TypeName::{Any, Bool, Duration, Float, Int, List, Map, String as Text, Time};

/// What arithmetic takes and gives.
const ARITHMETIC: [(Operator, TypeName, TypeName, TypeName); 17] = [
    (Operator::Add, Int, Int, Int),
    (Operator::Add, Float, Float, Float),
    (Operator::Add, Text, Text, Text),
    (Operator::Add, List, List, List),
    (Operator::Add, Time, Duration, Time),
    (Operator::Add, Duration, Time, Time),
    (Operator::Add, Duration, Duration, Duration),
    (Operator::Subtract, Int, Int, Int),
    (Operator::Subtract, Float, Float, Float),
    (Operator::Subtract, Time, Time, Duration),
    (Operator::Subtract, Time, Duration, Time),
    (Operator::Subtract, Duration, Duration, Duration),
    (Operator::Multiply, Int, Int, Int),
    (Operator::Multiply, Float, Float, Float),
    (Operator::Divide, Int, Int, Int),
    (Operator::Divide, Float, Float, Float),
    (Operator::Remainder, Int, Int, Int),
];

/// What functions take and give; several lines are several ways to call one.
const FUNCTIONS: [(Function, &[TypeName], TypeName); 36] = [
    (Function::Size, &[Text], Int),
    (Function::Size, &[List], Int),
    (Function::Size, &[Map], Int),
    (Function::StartsWith, &[Text, Text], Bool),
    (Function::EndsWith, &[Text, Text], Bool),
    (Function::Contains, &[Text, Text], Bool),
    (Function::LowerAscii, &[Text], Text),
    (Function::UpperAscii, &[Text], Text),
    (Function::Timestamp, &[Text], Time),
    (Function::Timestamp, &[Time], Time),
    (Function::Timestamp, &[Int], Time),
    (Function::Duration, &[Text], Duration),
    (Function::Duration, &[Duration], Duration),
    (Function::Int, &[Int], Int),
    (Function::Int, &[Float], Int),
    (Function::Int, &[Text], Int),
    (Function::Int, &[Time], Int),
    (Function::Double, &[Float], Float),
    (Function::Double, &[Int], Float),
    (Function::Double, &[Text], Float),
    (Function::String, &[Text], Text),
    (Function::String, &[Int], Text),
    (Function::String, &[Float], Text),
    (Function::String, &[Bool], Text),
    (Function::String, &[Time], Text),
    (Function::String, &[Duration], Text),
    (Function::GetFullYear, &[Time], Int),
    (Function::GetMonth, &[Time], Int),
    (Function::GetDate, &[Time], Int),
    (Function::GetDayOfWeek, &[Time], Int),
    (Function::GetHours, &[Time], Int),
    (Function::GetMinutes, &[Time], Int),
    (Function::GetSeconds, &[Time], Int),
    (Function::GetHours, &[Duration], Int),
    (Function::GetMinutes, &[Duration], Int),
    (Function::GetSeconds, &[Duration], Int),
];

impl Type {
    pub(super) const ANY: Type = Type::new(Any);
    pub(super) const NULL: Type = Type { base: Base::Null, nullable: true };

    pub(super) const fn new(name: TypeName) -> Type {
        Type { base: Base::Named(name), nullable: false }
    }

    pub(super) fn list_of(element: Option<Type>) -> Type {
        let base = element.map_or(Base::Named(List), |element| Base::ListOf(Box::new(element)));
        Type { base, nullable: false }
    }

    pub(super) fn is_any(&self) -> bool {
        self.base == Base::Named(Any)
    }

    pub(super) fn is_null(&self) -> bool {
        self.base == Base::Null
    }

    /// The name in a definition; null alone counts as `any`.
    pub(super) fn name(&self) -> TypeName {
        match &self.base {
            Base::Null => Any,
            Base::ListOf(_) => List,
            Base::Named(name) => *name,
        }
    }

    pub(super) fn field_type(&self) -> FieldType {
        FieldType { base: self.name(), nullable: self.nullable }
    }

    /// Whether a value of this type can stand where `wanted` is needed.
    pub(super) fn fits(&self, wanted: TypeName) -> bool {
        !self.is_null() && (self.is_any() || wanted == Any || self.name() == wanted)
    }

    /// Whether `==` between the two can ever be true for a reason other than null.
    pub(super) fn is_comparable(&self, other: &Type) -> bool {
        if self.is_any() || other.is_any() {
            return true;
        }
        match (&self.base, &other.base) {
            (Base::Null, _) => other.nullable,
            (_, Base::Null) => self.nullable,
            (Base::ListOf(mine), Base::ListOf(theirs)) => mine.is_comparable(theirs),
            _ => self.name() == other.name() || (self.is_number() && other.is_number()),
        }
    }

    /// The type that holds values of both, as for the branches of `? :`.
    pub(super) fn join(&self, other: &Type) -> Option<Type> {
        let nullable = self.nullable || other.nullable;
        let base = match (&self.base, &other.base) {
            (Base::Null, base) | (base, Base::Null) => base.clone(),
            (Base::Named(Any), _) | (_, Base::Named(Any)) => Base::Named(Any),
            (mine, theirs) if mine == theirs => mine.clone(),
            (Base::ListOf(mine), Base::ListOf(theirs)) => {
                mine.join(theirs).map_or(Base::Named(List), |all| Base::ListOf(Box::new(all)))
            }
            _ if self.name() == other.name() => Base::Named(self.name()),
            _ => return None,
        };
        Some(Type { base, nullable })
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.base, Base::Named(Int | Float))
    }

    /// Whether `<` has a meaning.
    pub(super) fn is_ordered(&self) -> bool {
        self.is_any() || matches!(self.base, Base::Named(Int | Float | Text | Time | Duration))
    }

    /// The type of a literal.
    pub(super) fn of(value: &Value) -> Type {
        value.type_name().map_or(Type::NULL, Type::new)
    }
}

impl From<FieldType> for Type {
    fn from(declared: FieldType) -> Type {
        Type { base: Base::Named(declared.base), nullable: declared.nullable }
    }
}

/// Shows the type as a definition names it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() { f.write_str("null") } else { write!(f, "{}", self.field_type()) }
    }
}

/// What an arithmetic operator gives, if it takes these operands.
pub(super) fn arithmetic(operator: Operator, left: &Type, right: &Type) -> Option<Type> {
    let fitting =
        ARITHMETIC.iter().filter(|(known, first, second, _)| *known == operator && left.fits(*first) && right.fits(*second));
    one_result(fitting.map(|(.., result)| *result)).map(|result| match (result, &left.base, &right.base) {
        (List, Base::ListOf(mine), Base::ListOf(theirs)) => Type::list_of(mine.join(theirs)),
        _ => Type::new(result),
    })
}

/// What a call gives, if the function takes these arguments; a time function takes a zone too.
pub(super) fn call(function: Function, arguments: &[Type]) -> Option<Type> {
    let fitting = FUNCTIONS.iter().filter(|(known, parameters, _)| {
        let (plain, zone) = match arguments.split_at_checked(parameters.len()) {
            Some(split) => split,
            None => return false,
        };
        let takes_zone = function.takes_zone() && parameters.first() == Some(&Time);
        *known == function
            && plain.iter().zip(*parameters).all(|(argument, wanted)| argument.fits(*wanted))
            && (zone.is_empty() || (takes_zone && zone.len() == 1 && zone[0].fits(Text)))
    });
    one_result(fitting.map(|(.., result)| *result)).map(Type::new)
}

/// The kinds of first argument a function takes, for messages.
pub(super) fn takes(function: Function) -> String {
    let mut kinds: Vec<&str> = FUNCTIONS
        .iter()
        .filter(|(known, ..)| *known == function)
        .map(|(_, parameters, _)| parameters[0].with_article())
        .collect();
    kinds.dedup();
    kinds.join(" or ")
}

/// The result all fitting lines agree on; `any` where an operand of type `any` leaves it open.
fn one_result(mut results: impl Iterator<Item = TypeName>) -> Option<TypeName> {
    let first = results.next()?;
    Some(if results.all(|other| other == first) { first } else { Any })
}
