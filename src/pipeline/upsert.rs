//! What a change is judged on: the records as they stand and, where what is missing is created, the record as it is proposed.

use super::Stage;
use super::fetch;
use super::hydrate::image::Image;
use super::trail::Trail;
use crate::bundle::profile::route::MissingRecord;
use crate::model::access::Action;
use crate::model::problem::Problem;

impl Stage<'_> {
    /// The records as they stand, or the new record as it is proposed.
    pub(super) async fn images(&self, trail: &Trail) -> Result<Vec<Image>, Problem> {
        trail.enter("hydrate");
        match (self.mapped.action, self.mapped.record_type) {
            (Some(Action::Create), Some(record_type)) => {
                let snapshot = &self.serving.snapshot;
                Ok(vec![fetch::proposed(self.mapped, record_type, snapshot, &self.limits.answer.json)?])
            }
            (Some(Action::Download), _) => self.fetcher().before_images(self.mapped).await,
            // What names no records is decided without them.
            _ if self.mapped.is_write() && !self.mapped.is_unbounded() => self.change_images().await,
            _ => Ok(Vec::new()),
        }
    }

    /// The images of a change.
    pub(super) async fn change_images(&self) -> Result<Vec<Image>, Problem> {
        let mut images = self.fetcher().before_images(self.mapped).await?;
        if self.mapped.route.missing == MissingRecord::Create
            && let Some(record_type) = self.mapped.record_type
        {
            let limits = &self.limits.answer.json;
            images.push(fetch::proposed(self.mapped, record_type, &self.serving.snapshot, limits)?);
        }
        Ok(images)
    }
}
