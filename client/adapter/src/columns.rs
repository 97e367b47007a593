//! Rows to bytes and back, column by column: not through serde, from which an application may hide fields
//! (`#[serde(skip)]` on a password's hash) that would come back empty.

use std::fmt::Debug;
use std::marker::PhantomData;

use cacheops::{Codec, Error, ErrorKind};

use crate::checked::lossy;
use crate::debug_text::Comparison;

/// The rest of an entry's bytes.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

fn broken() -> Error {
    Error::new(ErrorKind::Decode, "the entry is not a list of rows")
}

impl<'a> Reader<'a> {
    /// All bytes of an entry.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next bytes.
    ///
    /// # Errors
    ///
    /// As those of the other methods: [`ErrorKind::Decode`] if there are fewer.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(head)
    }

    /// So many bytes.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| broken())
    }

    /// One byte.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    /// A number of four bytes, the lowest first.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    pub fn count(&mut self) -> Result<usize, Error> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// Bytes behind their [count](Self::count).
    ///
    /// # Errors
    ///
    /// If there are fewer.
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.count()?;
        self.take(length)
    }
}

/// How one item of a result is written: a model by its columns, and what is made of models.
pub trait Columns<T> {
    /// Adds the names of the columns, in the order in which their values are written, to a fingerprint.
    fn shape(so_far: u64) -> u64;

    /// Appends an item.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] for a kind of value that has no bytes.
    fn write(item: &T, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Takes an item from the front.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if the bytes are of something else.
    fn read(from: &mut Reader<'_>) -> Result<T, Error>;
}

/// A row that the join may not have.
#[derive(Debug)]
pub struct Maybe<C>(PhantomData<C>);

impl<T, C: Columns<T>> Columns<Option<T>> for Maybe<C> {
    fn shape(so_far: u64) -> u64 {
        C::shape(so_far)
    }

    fn write(item: &Option<T>, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(u8::from(item.is_some()));
        item.iter().try_for_each(|item| C::write(item, out))
    }

    fn read(from: &mut Reader<'_>) -> Result<Option<T>, Error> {
        match from.byte()? {
            0 => Ok(None),
            _ => C::read(from).map(Some),
        }
    }
}

/// Any number of rows.
#[derive(Debug)]
pub struct Many<C>(PhantomData<C>);

impl<T, C: Columns<T>> Columns<Vec<T>> for Many<C> {
    fn shape(so_far: u64) -> u64 {
        C::shape(so_far)
    }

    fn write(items: &Vec<T>, out: &mut Vec<u8>) -> Result<(), Error> {
        write_all::<T, C>(items, out)
    }

    fn read(from: &mut Reader<'_>) -> Result<Vec<T>, Error> {
        let count = from.count()?;
        // A damaged count must not become an allocation.
        let mut items = Vec::with_capacity(count.min(from.0.len()));
        for _ in 0..count {
            items.push(C::read(from)?);
        }
        Ok(items)
    }
}

macro_rules! tuple {
    ($($codec:ident $item:ident $at:tt),*) => {
        impl<$($item, $codec: Columns<$item>),*> Columns<($($item,)*)> for ($($codec,)*) {
            fn shape(so_far: u64) -> u64 {
                $(let so_far = $codec::shape(so_far);)*
                so_far
            }

            fn write(item: &($($item,)*), out: &mut Vec<u8>) -> Result<(), Error> {
                $($codec::write(&item.$at, out)?;)*
                Ok(())
            }

            fn read(from: &mut Reader<'_>) -> Result<($($item,)*), Error> {
                Ok(($($codec::read(from)?,)*))
            }
        }
    };
}

tuple!(A T 0, B U 1);
tuple!(A T 0, B U 1, C V 2);
tuple!(A T 0, B U 1, C V 2, D W 3);
tuple!(A T 0, B U 1, C V 2, D W 3, E X 4);
tuple!(A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5);

/// The codec of a result whose items are written as `C` says.
#[derive(Debug)]
pub struct Rows<C>(PhantomData<C>);

impl<C> Rows<C> {
    /// The name of the codec.
    pub const NAME: &str = "columns 1";
}

impl<C> Default for Rows<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Debug, C: Columns<T>> Codec<Vec<T>> for Rows<C> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn shape(&self) -> u64 {
        shape_of::<T, C>()
    }

    fn encode(&self, items: &Vec<T>) -> Result<Vec<u8>, Error> {
        encode_rows::<T, C>(items)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<T>, Error> {
        decode_rows::<T, C>(bytes)
    }
}

/// A fingerprint of the columns: values stand in their order, which may be another in the next release.
pub fn shape_of<T, C: Columns<T>>() -> u64 {
    C::shape(0xcbf2_9ce4_8422_2325)
}

/// Adds the name of a column to a fingerprint.
pub fn add_column(so_far: u64, name: &str) -> u64 {
    // FNV-1a, whose primes these are.
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    add(name.bytes().fold(so_far, add), 0)
}

/// The bytes of these items, if they decode to the same items. A type of the application may become another value on the
/// way to the database than it was, and for some values only: so each item is decoded and compared, by its `Debug` text.
/// If one differs, nothing is stored.
///
/// # Errors
///
/// [`ErrorKind::Encode`].
pub fn encode_rows<T: Debug, C: Columns<T>>(items: &[T]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(64 + 128 * items.len());
    write_all::<T, C>(items, &mut bytes)?;
    let mut from = Reader(&bytes);
    from.count()?;
    let mut comparison = Comparison::default();
    for item in items {
        let back = C::read(&mut from);
        if !back.is_ok_and(|back| comparison.same(item, &back)) {
            return Err(lossy::<T>());
        }
    }
    Ok(bytes)
}

/// The items of these bytes.
///
/// # Errors
///
/// [`ErrorKind::Decode`].
pub fn decode_rows<T, C: Columns<T>>(bytes: &[u8]) -> Result<Vec<T>, Error> {
    let mut from = Reader(bytes);
    let items = Many::<C>::read(&mut from)?;
    if from.0.is_empty() { Ok(items) } else { Err(broken()) }
}

fn write_all<T, C: Columns<T>>(items: &[T], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&(items.len() as u32).to_le_bytes());
    items.iter().try_for_each(|item| C::write(item, out))
}
