with occurrence as (
    select
        person_id,
        condition_concept_id,
        case when condition_concept_id = 0 then condition_source_value end as unmapped_source_value,
        condition_occurrence_id,
        condition_start_date,
        condition_end_date,
        coalesce(condition_end_date, date '2200-01-01') as known_end_date
    from staging.stg_omop__condition_occurrence
),

concept as (
    select * from staging.stg_vocabulary__concept
),

preceded as (
    select
        *,
        max(known_end_date) over (
            partition by person_id, condition_concept_id, unmapped_source_value
            order by condition_start_date, condition_occurrence_id
            rows between unbounded preceding and 1 preceding
        ) as end_before
    from occurrence
),

numbered as (
    select
        *,
        sum(case when condition_start_date <= end_before + interval '30' day then 0 else 1 end) over (
            partition by person_id, condition_concept_id, unmapped_source_value
            order by condition_start_date, condition_occurrence_id
            rows between unbounded preceding and current row
        ) as episode_number
    from preceded
),

episode as (
    select
        person_id,
        condition_concept_id,
        unmapped_source_value,
        cast(episode_number as integer) as episode_number,
        min(condition_start_date) as start_date,
        max(known_end_date) as known_end_date,
        count(*) as occurrence_count
    from numbered
    group by person_id, condition_concept_id, unmapped_source_value, episode_number
),

final as (
    select
        episode.person_id,
        episode.condition_concept_id,
        episode.unmapped_source_value,
        episode.episode_number,
        concept.concept_name as condition_name,
        episode.start_date,
        case when episode.known_end_date < date '2200-01-01' then episode.known_end_date end as end_date,
        episode.known_end_date >= date '2200-01-01' as is_ongoing,
        episode.occurrence_count
    from episode
    left join concept on episode.condition_concept_id = concept.concept_id
)

select * from final
