//! TLS to a server: who is believed to be the one that was asked for, and by which certificates.
//! What never lives here: when TLS is asked for (each kind of source has its own way to say so).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::bounded;

/// Whom to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Anyone: what is said cannot be overheard, and that is all.
    Anyone,
    /// Whoever has a certificate of the authority.
    Authority,
    /// The host of that name, by a certificate of the authority.
    Host,
}

/// Certificates by their files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The authority's; the system's own without one.
    pub authority: Option<PathBuf>,
    /// Ours, with its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Speaks TLS over a connection to `host`.
///
/// # Errors
/// What is wrong with a file, or with the server's certificate.
pub async fn over<S>(stream: S, host: &str, trust: Trust, files: &Certificates) -> Result<TlsStream<S>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = config(trust, files)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is not a valid host name"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| format!("TLS: {e}"))
}

/// Whom to believe, as the library wants it.
///
/// # Errors
/// What is wrong with a file.
pub fn config(trust: Trust, files: &Certificates) -> Result<ClientConfig, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("TLS: {e}"))?.dangerous();
    let named = match &files.authority {
        Some(path) if trust != Trust::Anyone => certificates(path)?,
        _ => Vec::new(),
    };
    let authority = if trust == Trust::Anyone { None } else { Some(authority(files, &named)?) };
    let verifier = Verifier { trust, provider, authority, named };
    let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = &files.own else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate)?;
    let der = PrivateKeyDer::from_pem_slice(&bounded::read(key).map_err(|e| e.to_string())?);
    let der = der.map_err(|e| format!("{}: no private key in PEM form: {e}", key.display()))?;
    builder.with_client_auth_cert(chain, der).map_err(|e| format!("{}: {e}", certificate.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = bounded::read(path).map_err(|e| e.to_string())?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|e| format!("{}: no certificate in PEM form: {e}", path.display()))?;
    if all.is_empty() { Err(format!("{}: no certificate in it", path.display())) } else { Ok(all) }
}

fn authority(files: &Certificates, named: &[CertificateDer<'static>]) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    match &files.authority {
        Some(path) => {
            for certificate in named {
                roots.add(certificate.clone()).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        // One of the system's that cannot be read is no reason to refuse the others.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|_| "no CA certificate on this host: name one (sslrootcert)".to_owned())
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of the authority's file.
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            // A certificate that signs itself and stands in the file is its own authority, though it calls itself one and serves. Its dates
            // were looked at before that.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.named.iter().any(|known| known == end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                if self.trust == Trust::Host {
                    verify_server_name(&parsed, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.trust == Trust::Anyone {
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Whoever is believed unseen may have a certificate of a form that nobody can verify, such as version 1.
        if self.trust == Trust::Anyone {
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
