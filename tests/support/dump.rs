//! Payloads of `DUMP`, to be changed and signed anew.

/// What `DUMP` answers: the value, two bytes of format version, and a CRC64 of both.
#[derive(Clone, Debug)]
pub struct Dump {
    /// Everything before the checksum.
    pub body: Vec<u8>,
}

impl Dump {
    /// Takes the checksum off a payload.
    pub fn from_payload(payload: &[u8]) -> Self {
        Self { body: payload[..payload.len() - 8].to_vec() }
    }

    /// The payload with the checksum that the server expects.
    pub fn signed(&self) -> Vec<u8> {
        let mut payload = self.body.clone();
        payload.extend_from_slice(&crc64(&self.body).to_le_bytes());
        payload
    }

    /// The bytes of the value, without the format version at the end.
    pub fn value_len(&self) -> usize {
        self.body.len() - 2
    }
}

/// CRC-64/Jones as the server computes it: reflected, starting from zero.
fn crc64(bytes: &[u8]) -> u64 {
    const REFLECTED_POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ REFLECTED_POLYNOMIAL } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc64;

    #[test]
    fn agrees_with_the_check_value_of_the_server() {
        assert_eq!(crc64(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
    }
}
