//! The compatibility levels that are set, for all subjects or for one.

use super::catalog::Catalog;
use super::error::RegistryError;
use super::level::Level;
use super::subject::check_name;

/// A subject of `None` stands for all subjects that have no level of their own.
impl Catalog {
    /// The level that is in effect.
    pub(crate) fn level_in_effect(&self, subject: Option<&str>) -> Level {
        let own = subject.and_then(|subject| self.state.level(Some(subject)));
        own.or(self.state.level(None)).unwrap_or_default()
    }

    /// The level that was set for a subject itself.
    pub(crate) fn own_level(&self, subject: &str) -> Result<Level, RegistryError> {
        let own = self.state.level(Some(subject));
        own.ok_or_else(|| RegistryError::LevelNotConfigured(subject.to_owned()))
    }

    pub(crate) fn set_level(
        &mut self,
        subject: Option<&str>,
        level: Level,
    ) -> Result<(), RegistryError> {
        subject.map_or(Ok(()), check_name)?;
        self.check_writable(subject)?;
        self.state.set_level(subject, Some(level), &mut self.changes);
        Ok(())
    }

    /// Removes a level that was set, and returns it.
    pub(crate) fn delete_level(&mut self, subject: Option<&str>) -> Result<Level, RegistryError> {
        let level = match subject {
            None => self.level_in_effect(None),
            Some(name) => {
                let own = self.state.level(subject);
                own.ok_or_else(|| RegistryError::SubjectNotFound(name.to_owned()))?
            }
        };
        self.check_writable(subject)?;
        self.state.set_level(subject, None, &mut self.changes);
        Ok(level)
    }
}
