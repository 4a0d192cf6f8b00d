//! Deletion: first soft, then permanent. A soft-deleted version keeps its number and can still be read on request.
//!
//! A version that another schema refers to can't be deleted.

use super::catalog::{Catalog, Deleted};
use super::entries::StoredVersion;
use super::error::RegistryError;
use super::version_id::VersionId;

impl Catalog {
    /// Deletes all versions of a subject: softly, or permanently if they are soft-deleted.
    pub(crate) fn delete_subject(
        &mut self,
        subject: &str,
        permanent: bool,
    ) -> Result<Vec<u32>, RegistryError> {
        self.versions(subject, Deleted::Included)?;
        let deleted = if permanent { Deleted::Included } else { Deleted::Hidden };
        let numbers = self
            .versions(subject, deleted)
            .map_err(|_| RegistryError::SubjectSoftDeleted(subject.to_owned()))?;
        self.check_writable(Some(subject))?;
        for number in &numbers {
            // References from versions of the same subject don't count.
            let referenced = self.referenced_by(subject, *number, deleted).into_iter().any(|id| {
                let versions = self.versions_with(id, deleted).unwrap_or_default();
                versions.iter().any(|version| version.subject != subject)
            });
            if referenced {
                return Err(referenced_error(subject, *number));
            }
            if permanent && self.versions_of(subject).get(number).is_some_and(|one| !one.deleted) {
                return Err(RegistryError::SubjectNotSoftDeleted(subject.to_owned()));
            }
        }
        for number in &numbers {
            self.remove(subject, *number, permanent);
        }
        Ok(numbers)
    }

    /// Deletes a version: softly, or permanently if it is soft-deleted.
    pub(crate) fn delete_version(
        &mut self,
        subject: &str,
        version: VersionId,
        permanent: bool,
    ) -> Result<u32, RegistryError> {
        let Some((number, found)) = self.find(subject, version) else {
            self.versions(subject, Deleted::Included)?;
            return Err(RegistryError::VersionNotFound(version));
        };
        if found.deleted && !permanent {
            return Err(RegistryError::VersionSoftDeleted { subject: subject.to_owned(), version });
        }
        self.check_writable(Some(subject))?;
        let deleted = if permanent { Deleted::Included } else { Deleted::Hidden };
        if !self.referenced_by(subject, number, deleted).is_empty() {
            return Err(referenced_error(subject, number));
        }
        if permanent && !found.deleted {
            let subject = subject.to_owned();
            return Err(RegistryError::VersionNotSoftDeleted { subject, version: number });
        }
        self.remove(subject, number, permanent);
        Ok(number)
    }

    fn remove(&mut self, subject: &str, number: u32, permanent: bool) {
        if permanent {
            self.state.remove_version(subject, number, &mut self.changes);
        } else if let Some(version) = self.versions_of(subject).get(&number) {
            let version = StoredVersion { deleted: true, ..*version };
            self.state.put_version(subject, number, version, &mut self.changes);
        }
    }
}

fn referenced_error(subject: &str, version: u32) -> RegistryError {
    RegistryError::Referenced { subject: subject.to_owned(), version }
}
