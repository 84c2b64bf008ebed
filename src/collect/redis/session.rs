//! A connection that is spoken over: one command at a time, each with a deadline and a budget, each counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, Value};
use tokio::task::JoinHandle;

use super::stream::{self, Budget};
use super::target::Target;
use super::trouble::Trouble;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);
/// Until an answer is there.
pub const ANSWER: Duration = Duration::from_millis(1500);

/// What perftop asked of one server so far, over all connections to it, by command as commandstats names it; errors under the word after
/// a `!`.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<BTreeMap<String, u64>>>);

impl Asked {
    fn count(&self, name: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// All of it.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection.
pub struct Session {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    budget: Budget,
    asked: Asked,
    /// Where it was reached.
    pub dialled: Vec<SocketAddr>,
    /// Before 7.0 commandstats knows no second words.
    pub flat: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// What the server or the system said.
    pub async fn open(target: &Target, asked: &Asked) -> Result<Self, Trouble> {
        let opened = tokio::time::timeout(CONNECT, Self::connect(target, asked.clone())).await;
        let mut session = opened.map_err(|_| Trouble::Silent("no connection within 2 s".into()))??;
        if let Some(secret) = target.secret() {
            let password = secret.reveal().as_str();
            let login = match target.user.as_deref() {
                Some(user) => session.ask(&["AUTH", user, password]).await,
                None => session.ask(&["AUTH", password]).await,
            };
            match login {
                // It wants none, and has let us in.
                Err(Trouble::Refused { message, .. })
                    if message.contains("without any password configured") || message.contains("no password is set") => {}
                other => _ = other?,
            }
        }
        Ok(session)
    }

    async fn connect(target: &Target, asked: Asked) -> Result<Self, Trouble> {
        let budget = Budget::default();
        let (stream, dialled) = stream::open(target, budget.clone()).await?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = made.map_err(|e| Trouble::of(&e))?;
        Ok(Self { connection, driver: tokio::spawn(driver), budget, asked, dialled, flat: false })
    }

    /// Asks one thing. An error of the server does no harm to the connection.
    ///
    /// # Errors
    /// What the server said, or that there was no answer.
    pub async fn ask(&mut self, words: &[&str]) -> Result<Value, Trouble> {
        self.budget.renew();
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        self.asked.count(counted(words, self.flat));
        let answer = command.query_async::<Value>(&mut self.connection).await;
        let answer = match answer {
            Ok(value) => refused(&value).map_or(Ok(value), Err),
            Err(_) if self.budget.spent() => Err(Trouble::TooLarge),
            Err(error) => Err(Trouble::of(&error)),
        };
        // The server counts it as an error of somebody.
        if let Err(Trouble::Refused { word, .. }) = &answer {
            self.asked.count(format!("!{word}"));
        }
        answer
    }

    /// Asks several things in one go.
    ///
    /// # Errors
    /// There was no answer. What was refused stands among the answers.
    pub async fn many(&mut self, commands: &[Vec<&[u8]>]) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.budget.renew();
        let mut pipe = redis::Pipeline::with_capacity(commands.len());
        for words in commands {
            let names: Vec<&str> = words.iter().take(2).filter_map(|word| std::str::from_utf8(word).ok()).collect();
            self.asked.count(counted(&names, self.flat));
            let command = pipe.cmd(names.first().copied().unwrap_or_default());
            words.iter().skip(1).for_each(|word| _ = command.arg(*word));
        }
        let answers = match self.connection.send_packed_commands(&pipe, 0, commands.len()).await {
            Ok(answers) => answers,
            Err(_) if self.budget.spent() => return Err(Trouble::TooLarge),
            Err(error) => return Err(Trouble::of(&error)),
        };
        let told: Vec<_> = answers.into_iter().map(|value| refused(&value).map_or(Ok(value), Err)).collect();
        told.iter().filter_map(|told| told.as_ref().err()).for_each(|trouble| self.asked.count(format!("!{}", trouble.word())));
        Ok(told)
    }
}

/// What the server said no with.
fn refused(value: &Value) -> Option<Trouble> {
    let Value::ServerError(error) = value else { return None };
    let message = error.details().map(crate::model::foreign::tamed).unwrap_or_default();
    Some(Trouble::Refused { word: crate::model::foreign::tamed(error.code()), message })
}

/// The name of a command in commandstats: with its second word where it has one (7.0 and later), and without (before).
fn counted(words: &[&str], flat: bool) -> String {
    const FAMILIES: [&str; 6] = ["CLIENT", "CONFIG", "SLOWLOG", "LATENCY", "MEMORY", "ACL"];
    match words {
        [family, second, ..] if FAMILIES.contains(family) && !flat => format!("{family}|{second}").to_lowercase(),
        [word, ..] => word.to_lowercase(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// Full, or protected: it says so before anything was asked, and hangs up.
    #[tokio::test]
    async fn what_a_server_says_before_it_hangs_up_is_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::parse(&format!("redis://{}", listener.local_addr().unwrap())).unwrap();
        for _ in 0..20 {
            let mut session = Session::connect(&target, Asked::default()).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"-ERR max number of clients reached\r\n").unwrap();
            drop(peer);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let said = session.ask(&["PING"]).await.unwrap_err();
            assert!(matches!(&said, Trouble::Refused { message, .. } if message.contains("max number")), "{said:?}");
            let said = session.ask(&["PING"]).await.unwrap_err();
            assert!(matches!(said, Trouble::Lost(_)), "{said:?}");
        }
    }
}
