//! The modes that are set, for all subjects or for one.

use super::catalog::Catalog;
use super::error::RegistryError;
use super::mode::Mode;
use super::subject::check_name;

/// A subject of `None` stands for all subjects that have no mode of their own.
impl Catalog {
    /// The mode that is in effect.
    pub(crate) fn mode_in_effect(&self, subject: Option<&str>) -> Mode {
        let own = subject.and_then(|subject| self.state.mode(Some(subject)));
        own.or(self.state.mode(None)).unwrap_or_default()
    }

    /// The mode that was set for a subject itself.
    pub(crate) fn own_mode(&self, subject: &str) -> Result<Mode, RegistryError> {
        let own = self.state.mode(Some(subject));
        own.ok_or_else(|| RegistryError::ModeNotConfigured(subject.to_owned()))
    }

    pub(crate) fn set_mode(
        &mut self,
        subject: Option<&str>,
        mode: Mode,
    ) -> Result<(), RegistryError> {
        subject.map_or(Ok(()), check_name)?;
        self.state.set_mode(subject, Some(mode), &mut self.changes);
        Ok(())
    }

    /// Removes a mode that was set, and returns it.
    pub(crate) fn delete_mode(&mut self, subject: Option<&str>) -> Result<Mode, RegistryError> {
        let mode = match subject {
            None => self.mode_in_effect(None),
            Some(name) => {
                let own = self.state.mode(subject);
                own.ok_or_else(|| RegistryError::SubjectNotFound(name.to_owned()))?
            }
        };
        self.state.set_mode(subject, None, &mut self.changes);
        Ok(mode)
    }

    /// Refuses changes where the mode forbids them.
    pub(super) fn check_writable(&self, subject: Option<&str>) -> Result<(), RegistryError> {
        match self.mode_in_effect(subject) {
            Mode::ReadWrite => Ok(()),
            Mode::ReadOnly => Err(RegistryError::ReadOnly(subject.map(str::to_owned))),
        }
    }
}
